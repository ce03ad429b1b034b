# Result files -> the paper's tables -> one report.


rule write_table:
    input:
        lambda wildcards: [of_study(path) for path in tables.inputs(wildcards.table, STUDY)],
    output:
        csv=of_study(layout.table_csv("{table}")),
        markdown=of_study(layout.table_markdown("{table}")),
    log:
        log_file("write_table/{table}.log"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        results=lambda wildcards, output: str(Path(output.csv).parents[1]),
        study=lambda wildcards: json.dumps(tables.settings(wildcards.table, STUDY)),
        code=code("write_table"),
    shell:
        "python scripts/write_table.py --table {wildcards.table} --results {params.results} --study {params.study:q}"
        " --csv {output.csv} --markdown {output.markdown} 2> {log}"


rule collect_tables:
    input:
        tables=[of_study(layout.table_markdown(name)) for name in TABLES_SHOWN],
        agreements=AGREEMENTS,
    output:
        of_study(layout.tables()),
    log:
        log_file("collect_tables.log"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        study=STUDY["study"],
        models=[model["label"] for model in MODELS.values()],
        seeds=SEEDS,
        code=code("collect_tables"),
    shell:
        "python scripts/collect_tables.py --study {params.study} --models {params.models:q} --seeds {params.seeds}"
        " --tables {input.tables} --agreements {input.agreements} --output {output} 2> {log}"


rule write_costs:
    input:
        [of_study(path) for work in WORKS for path in work["usage"]],
        tables=of_study(layout.tables()),  # so that the benchmarks of trainings are there
    output:
        csv=of_study(layout.costs_csv()),
        markdown=of_study(layout.costs_markdown()),
    log:
        log_file("write_costs.log"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        works=as_json(WORKS),
        results=lambda wildcards, output: str(Path(output.csv).parent),
        labels=as_json({name: model["label"] for name, model in MODELS.items()}),
        code=code("write_costs"),
    shell:
        "python scripts/write_costs.py --works {params.works:q} --results {params.results} --labels {params.labels:q}"
        " --csv {output.csv} --markdown {output.markdown} 2> {log}"


rule write_provenance:
    input:
        tables=of_study(layout.tables()),
        facts=expand(of_seed("facts.parquet"), seed=SEEDS),
        bases=expand(of_model("base/base.json"), seed=SEEDS, model=MODELS),
        agreements=AGREEMENTS,
    output:
        of_study(layout.provenance()),
    log:
        log_file("write_provenance.log"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        config=as_json(STUDY),
        codes=as_json({script: code(script) for script in CODED}),
        works=as_json(WORKS),
        benchmarks=lambda wildcards, output: str(Path(output[0]).parent / "benchmarks"),
        code=code("write_provenance"),
    shell:
        "python scripts/write_provenance.py --config {params.config:q} --codes {params.codes:q} --works {params.works:q}"
        " --benchmarks {params.benchmarks}"
        " --facts {input.facts} --bases {input.bases} --agreements {input.agreements} --output {output} 2> {log}"
