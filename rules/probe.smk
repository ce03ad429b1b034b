# Facts -> prompts -> generations -> grades -> categories, for any state of the model.


def state_adapters(wildcards):
    return adapter_folders(study.adapter_chain(RUNS, wildcards.state))


rule probe_facts:
    input:
        base=MODEL + "/base/base.json",
        facts=SEED + "/facts.parquet",
        adapters=lambda wildcards: adapter_files(state_adapters(wildcards)),
    output:
        generations=STATE + "/probe-{probe}/generations-{shard}.parquet",
    log:
        LOGS + "/probe_facts/{model}-seed{seed}-{state}-{probe}-{shard}.log",
    benchmark:
        BENCHMARKS + "/probe_facts/{model}-seed{seed}-{state}-{probe}-{shard}.tsv"
    threads: THREADS
    params:
        adapters=lambda wildcards: expand(state_adapters(wildcards), **wildcards),
        settings=as_json({k: v for k, v in PROBE.items() if k not in ("engine", "trained_states", "retests")}),
        mode=lambda wildcards: "greedy" if int(wildcards.probe) else study.probe_mode(STUDY, wildcards.state),
        dtype=dtype,
        code=code("probe_facts"),
    conda:
        "../envs/study.yaml"
    shell:
        "python scripts/probe_facts.py --base {input.base} --adapters {params.adapters} --facts {input.facts}"
        " --settings {params.settings:q} --dtype {params.dtype} --mode {params.mode} --seed {wildcards.seed}"
        " --state {wildcards.state} --probe {wildcards.probe} --shard {wildcards.shard}"
        " --generations {output.generations} 2> {log}"


rule grade_generations:
    input:
        generations=expand(
            STATE + "/probe-{probe}/generations-{shard}.parquet", shard=range(PROBE["shards"]), allow_missing=True
        ),
        facts=SEED + "/facts.parquet",
    output:
        grades=STATE + "/probe-{probe}/grades.parquet",
    log:
        LOGS + "/grade_generations/{model}-seed{seed}-{state}-{probe}.log",
    benchmark:
        BENCHMARKS + "/grade_generations/{model}-seed{seed}-{state}-{probe}.tsv"
    params:
        code=code("grade_generations"),
    conda:
        "../envs/study.yaml"
    shell:
        "python scripts/grade_generations.py --generations {input.generations} --facts {input.facts}"
        " --grades {output.grades} 2> {log}"


rule categorize_facts:
    input:
        grades=STATE + "/probe-{probe}/grades.parquet",
        facts=SEED + "/facts.parquet",
    output:
        categories=STATE + "/probe-{probe}/categories.parquet",
        counts=STATE + "/probe-{probe}/counts.csv",
    log:
        LOGS + "/categorize_facts/{model}-seed{seed}-{state}-{probe}.log",
    params:
        scoring=STUDY["scoring"],
        mode=lambda wildcards: "greedy" if int(wildcards.probe) else study.probe_mode(STUDY, wildcards.state),
        code=code("categorize_facts"),
    conda:
        "../envs/study.yaml"
    localrule: True
    shell:
        "python scripts/categorize_facts.py --grades {input.grades} --facts {input.facts} --scoring {params.scoring}"
        " --mode {params.mode} --categories {output.categories} --counts {output.counts} 2> {log}"
