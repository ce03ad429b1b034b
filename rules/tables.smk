# Result files -> the paper's tables -> one report.


rule write_table:
    input:
        lambda wildcards: [f"{RESULTS}/{path}" for path in tables.inputs(int(wildcards.table), STUDY)],
    output:
        csv=f"{RESULTS}/{layout.table_csv('{table}')}",
        markdown=f"{RESULTS}/{layout.table_markdown('{table}')}",
    log:
        LOGS + "/write_table/{table}.log",
    params:
        results=RESULTS,
        seeds=SEEDS,
        models=as_json({name: {"label": m["label"], "paper": m["paper"]} for name, m in MODELS.items()}),
        one_stage=STUDY["tables"]["one_stage"],
        two_stage=STUDY["tables"]["two_stage"],
        retests=PROBE["retests"],
        scoring=STUDY["scoring"],
        choose_on=STUDY["choose_on"],
        code=code("write_table"),
    conda:
        "../envs/study.yaml"
    localrule: True
    shell:
        "python scripts/write_table.py --number {wildcards.table} --results {params.results} --seeds {params.seeds}"
        " --models {params.models:q} --one-stage {params.one_stage} --two-stage {params.two_stage}"
        " --retests {params.retests} --scoring {params.scoring} --choose-on {params.choose_on}"
        " --csv {output.csv} --markdown {output.markdown} 2> {log}"


rule collect_tables:
    input:
        [f"{RESULTS}/{layout.table_markdown(number)}" for number in STUDY["tables"]["show"]],
    output:
        f"{RESULTS}/{layout.tables()}",
    log:
        LOGS + "/collect_tables.log",
    params:
        study=STUDY["study"],
        models=[model["label"] for model in MODELS.values()],
        seeds=SEEDS,
        code=code("collect_tables"),
    conda:
        "../envs/study.yaml"
    localrule: True
    shell:
        "python scripts/collect_tables.py --study {params.study} --models {params.models:q} --seeds {params.seeds}"
        " --tables {input} --output {output} 2> {log}"


rule write_provenance:
    input:
        tables=f"{RESULTS}/{layout.tables()}",
        facts=expand(SEED + "/facts.parquet", seed=SEEDS),
        bases=expand(MODEL + "/base/base.json", seed=SEEDS, model=MODELS),
    output:
        f"{RESULTS}/{layout.provenance()}",
    log:
        LOGS + "/write_provenance.log",
    params:
        config=as_json(STUDY),
        benchmarks=BENCHMARKS,
        code=code("write_provenance"),
    conda:
        "../envs/study.yaml"
    localrule: True
    shell:
        "python scripts/write_provenance.py --config {params.config:q} --benchmarks {params.benchmarks}"
        " --facts {input.facts} --bases {input.bases} --output {output} 2> {log}"
