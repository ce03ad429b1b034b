# Result files -> the paper's tables -> one report.


rule write_table:
    input:
        lambda wildcards: [of_study(path) for path in tables.inputs(int(wildcards.table), STUDY)],
    output:
        csv=of_study(layout.table_csv("{table}")),
        markdown=of_study(layout.table_markdown("{table}")),
    log:
        log_file("write_table/{table}.log"),
    localrule: True
    conda:
        "../envs/study.yaml"
    params:
        results=lambda wildcards, output: str(Path(output.csv).parents[1]),
        seeds=SEEDS,
        models=json.dumps({name: {"label": m["label"], "paper": m["paper"]} for name, m in MODELS.items()}),
        one_stage=STUDY["tables"]["one_stage"],
        two_stage=STUDY["tables"]["two_stage"],
        retests=PROBE["retests"],
        scoring=STUDY["scoring"],
        choose_on=STUDY["choose_on"],
        code=code("write_table"),
    shell:
        "python scripts/write_table.py --number {wildcards.table} --results {params.results} --seeds {params.seeds}"
        " --models {params.models:q} --one-stage {params.one_stage} --two-stage {params.two_stage}"
        " --retests {params.retests} --scoring {params.scoring} --choose-on {params.choose_on}"
        " --csv {output.csv} --markdown {output.markdown} 2> {log}"


rule collect_tables:
    input:
        [of_study(layout.table_markdown(number)) for number in STUDY["tables"]["show"]],
    output:
        of_study(layout.tables()),
    log:
        log_file("collect_tables.log"),
    localrule: True
    conda:
        "../envs/study.yaml"
    params:
        study=STUDY["study"],
        models=[model["label"] for model in MODELS.values()],
        seeds=SEEDS,
        code=code("collect_tables"),
    shell:
        "python scripts/collect_tables.py --study {params.study} --models {params.models:q} --seeds {params.seeds}"
        " --tables {input} --output {output} 2> {log}"


rule write_provenance:
    input:
        tables=of_study(layout.tables()),
        facts=expand(of_seed("facts.parquet"), seed=SEEDS),
        bases=expand(of_model("base/base.json"), seed=SEEDS, model=MODELS),
    output:
        of_study(layout.provenance()),
    log:
        log_file("write_provenance.log"),
    localrule: True
    conda:
        "../envs/study.yaml"
    params:
        config=as_json(STUDY),
        benchmarks=lambda wildcards, output: str(Path(output[0]).parent / "benchmarks"),
        code=code("write_provenance"),
    shell:
        "python scripts/write_provenance.py --config {params.config:q} --benchmarks {params.benchmarks}"
        " --facts {input.facts} --bases {input.bases} --output {output} 2> {log}"
