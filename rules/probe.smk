# Facts -> prompts -> generations -> grades -> categories, for any state of the model.


rule probe_facts:
    input:
        base=of_model("base/base.json"),
        facts=of_seed("facts.parquet"),
        adapters=lambda wildcards: adapter_files(state_adapters(wildcards)),
    output:
        generations=of_state("probe-{probe}/generations-{shard}.parquet"),
    log:
        log_file("probe_facts/{model}-seed{seed}-{state}-{probe}-{shard}.log"),
    benchmark:
        benchmark_file("probe_facts/{model}-seed{seed}-{state}-{probe}-{shard}.tsv")
    conda:
        "../envs/study.yaml"
    threads: THREADS
    params:
        adapters=lambda wildcards: expand(state_adapters(wildcards), **wildcards),
        settings=as_json({k: v for k, v in PROBE.items() if k not in ("trained_states", "retests")}),
        mode=lambda wildcards: "greedy" if int(wildcards.probe) else study.probe_mode(STUDY, wildcards.state),
        dtype=dtype,
        code=code("probe_facts"),
    shell:
        "python scripts/probe_facts.py --base {input.base} --adapters {params.adapters} --facts {input.facts}"
        " --settings {params.settings:q} --dtype {params.dtype} --mode {params.mode} --seed {wildcards.seed}"
        " --state {wildcards.state} --probe {wildcards.probe} --shard {wildcards.shard}"
        " --generations {output.generations} 2> {log}"


rule grade_generations:
    input:
        generations=expand(
            of_state("probe-{probe}/generations-{shard}.parquet"), shard=range(PROBE["shards"]), allow_missing=True
        ),
        facts=of_seed("facts.parquet"),
    output:
        grades=of_state("probe-{probe}/grades.parquet"),
    log:
        log_file("grade_generations/{model}-seed{seed}-{state}-{probe}.log"),
    benchmark:
        benchmark_file("grade_generations/{model}-seed{seed}-{state}-{probe}.tsv")
    conda:
        "../envs/study.yaml"
    params:
        code=code("grade_generations"),
    shell:
        "python scripts/grade_generations.py --generations {input.generations} --facts {input.facts}"
        " --grades {output.grades} 2> {log}"


rule categorize_facts:
    input:
        grades=of_state("probe-{probe}/grades.parquet"),
        facts=of_seed("facts.parquet"),
    output:
        categories=of_state("probe-{probe}/categories.parquet"),
        counts=of_state("probe-{probe}/counts.csv"),
    log:
        log_file("categorize_facts/{model}-seed{seed}-{state}-{probe}.log"),
    localrule: True
    conda:
        "../envs/study.yaml"
    params:
        scoring=STUDY["scoring"],
        mode=lambda wildcards: "greedy" if int(wildcards.probe) else study.probe_mode(STUDY, wildcards.state),
        code=code("categorize_facts"),
    shell:
        "python scripts/categorize_facts.py --grades {input.grades} --facts {input.facts} --scoring {params.scoring}"
        " --mode {params.mode} --categories {output.categories} --counts {output.counts} 2> {log}"
