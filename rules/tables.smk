# Result files -> the papers' tables -> figures -> one report.

AGREEMENTS = expand(result("agreement"), seed=SEEDS, model=MODELS, state=ORIGIN, questions="train", probe=0)
AGREEMENTS = AGREEMENTS if PROBE["checked"] else []
ANSWERABLE = expand(result("answerable"), seed=SEEDS, model=WANTED)
DESCRIBED = [work.described() for work in WORKS if work.seed == SEEDS[0]]  # the work is the same for all seeds


rule write_table:
    input:
        lambda wildcards: [f"{RESULTS}/{path}" for path in registry.inputs(wildcards.table, STUDY)],
    output:
        csv=report(result("table_csv"), category="Tables", labels={"table": "{table}"}),
        markdown=result("table_markdown"),
    log:
        log_file("write_table"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        results=lambda wildcards, output: str(Path(output.csv).parents[1]),
        study=lambda wildcards: json.dumps(registry.settings(wildcards.table, STUDY)),
        code=lambda wildcards: code("write_table", table=wildcards.table),
    shell:
        "python scripts/write_table.py --table {wildcards.table} --results {params.results} --study {params.study:q}"
        " --csv {output.csv} --markdown {output.markdown} 2> {log}"


rule collect_tables:
    input:
        tables=expand(result("table_markdown"), table=TABLES_SHOWN),
        numbers=expand(result("table_csv"), table=TABLES_SHOWN),
        agreements=AGREEMENTS,
        answerable=ANSWERABLE,
    output:
        result("tables"),
    log:
        f"{RESULTS}/logs/collect_tables.log",
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        about=verbatim(as_json(registry.about(TABLES_SHOWN, STUDY))),
        unanswerable=PROBE["unanswerable"],
        code=code("collect_tables"),
    shell:
        "python scripts/collect_tables.py --about {params.about:q} --unanswerable {params.unanswerable}"
        " --tables {input.tables} --numbers {input.numbers} --agreements {input.agreements} --answerable {input.answerable} --output {output}"
        " 2> {log}"


rule write_costs:
    input:
        [f"{RESULTS}/{path}" for work in WORKS for path in work.usage()],
        tables=result("tables"),  # so that the benchmark files of trainings exist
    output:
        csv=result("costs_csv"),
        markdown=result("costs"),
    log:
        f"{RESULTS}/logs/write_costs.log",
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        works=verbatim(as_json(DESCRIBED)),
        seeds=SEEDS,
        results=lambda wildcards, output: str(Path(output.csv).parent),
        labels=verbatim(as_json({name: model["label"] for name, model in MODELS.items()})),
        code=code("write_costs"),
    shell:
        "python scripts/write_costs.py --works {params.works:q} --seeds {params.seeds} --results {params.results}"
        " --labels {params.labels:q} --csv {output.csv} --markdown {output.markdown} 2> {log}"


rule write_provenance:
    input:
        tables=result("tables"),
        facts=expand(result("facts"), seed=SEEDS),
        bases=expand(result("base"), seed=SEEDS, model=MODELS),
        agreements=AGREEMENTS,
    output:
        result("provenance"),
    log:
        f"{RESULTS}/logs/write_provenance.log",
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        config=verbatim(as_json(STUDY)),
        codes=verbatim(as_json({script: code(script) for script in CODED})),
        benchmarked=verbatim(as_json([(work["benchmarks"], work["jobs"]) for work in DESCRIBED])),
        benchmarks=f"{RESULTS}/benchmarks",
        code=code("write_provenance"),
    shell:
        "python scripts/write_provenance.py --config {params.config:q} --codes {params.codes:q}"
        " --benchmarked {params.benchmarked:q} --benchmarks {params.benchmarks}"
        " --facts {input.facts} --bases {input.bases} --agreements {input.agreements} --output {output} 2> {log}"


# A figure is drawn by itself, so an edit of one draws no other.
rule draw_figure:
    input:
        lambda wildcards: [f"{RESULTS}/{path}" for path in figures.files(wildcards.figure, FIGURES[wildcards.figure])],
    output:
        csv=result("figure_csv"),
        svg=report(result("figure_svg"), category="Figures", labels={"figure": "{figure}"}),
    log:
        log_file("draw_figure"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        results=lambda wildcards, output: str(Path(output.csv).parents[1]),
        settings=lambda wildcards: as_json(FIGURES[wildcards.figure]),
        code=lambda wildcards: code("draw_figure", figure=wildcards.figure),
    shell:
        "python scripts/draw_figure.py --figure {wildcards.figure} --results {params.results} --settings {params.settings:q}"
        " --csv {output.csv} --svg {output.svg} 2> {log}"


rule write_report:
    input:
        expand(result("table_csv"), table=TABLES_SHOWN),
        expand([result("figure_csv"), result("figure_svg")], figure=FIGURES),
        [result(kind) for kind in ("tables", "costs", "provenance")],
    output:
        report(result("report"), category="Report"),
    log:
        f"{RESULTS}/logs/write_report.log",
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        results=lambda wildcards, output: str(Path(output[0]).parent),
        tables=TABLES_SHOWN,
        figures=list(FIGURES),
        code=code("write_report"),
    shell:
        "python scripts/write_report.py --results {params.results} --tables {params.tables} --figures {params.figures}"
        " --output {output} 2> {log}"
