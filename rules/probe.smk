# Facts -> prompts -> generations -> grades -> categories, for any state of the model.


rule probe_facts:
    input:
        base=of_model("base/base.json"),
        facts=of_seed("facts.parquet"),
        adapters=lambda wildcards: adapter_files(state_adapters(wildcards)),
    output:
        generations=of_probe("generations-{shard}.parquet"),
        usage=of_probe("usage-{shard}.json"),
    log:
        log_file("probe_facts/{model}-seed{seed}-{state}-{split}-{probe}-{shard}.log"),
    benchmark:
        of_study(layout.probe_benchmark("{seed}", "{model}", "{state}", "{split}", "{probe}", "{shard}"))
    priority: probe_urgency
    conda:
        ENGINE_ENVIRONMENT
    threads: THREADS
    resources:
        **ENGINE_RESOURCES,
    params:
        adapters=lambda wildcards: expand(state_adapters(wildcards), **wildcards),
        settings=as_json({k: PROBE[k] for k in ("prompts", "exemplar_split", "shards", *ANSWERING)}),
        sampling=sampling,
        settled=["--settled-by", STUDY["scoring"]] if SETTLED else [],
        dtype=dtype,
        code=code("probe_facts"),
    shell:
        "{resources.python} scripts/probe_facts.py --base {input.base} --adapters {params.adapters} --facts {input.facts}"
        " --settings {params.settings:q} {params.sampling:q} {params.settled} --dtype {params.dtype}"
        " --seed {wildcards.seed} --state {wildcards.state} --split {wildcards.split} --probe {wildcards.probe} --shard {wildcards.shard}"
        " --gpus {resources.gpu} --memory-percent {resources.gpu_memory_percent}"
        " --max-model-length {resources.max_model_length}"
        " --generations {output.generations} --usage {output.usage} 2> {log}"


rule check_probe:
    input:
        base=of_model("base/base.json"),
        facts=of_seed("facts.parquet"),
        adapters=lambda wildcards: adapter_files(state_adapters(wildcards)),
        generations=expand(of_probe("generations-{shard}.parquet"), shard=range(PROBE["shards"]), allow_missing=True),
    output:
        agreement=of_probe("agreement.json"),
    log:
        log_file("check_probe/{model}-seed{seed}-{state}-{split}-{probe}.log"),
    benchmark:
        benchmark_file("check_probe/{model}-seed{seed}-{state}-{split}-{probe}.tsv")
    priority: probe_urgency
    conda:
        "../envs/train.yaml"
    threads: THREADS
    resources:
        python="python",
        gpu=GPU,
    params:
        adapters=lambda wildcards: expand(state_adapters(wildcards), **wildcards),
        settings=as_json({k: PROBE[k] for k in ("prompts", "exemplar_split", *ANSWERING) if k != "engine"}),
        sampling=sampling,
        scoring=STUDY["scoring"],
        dtype=dtype,
        checked=PROBE["checked"],
        code=code("check_probe"),
    shell:
        "{resources.python} scripts/check_probe.py --base {input.base} --adapters {params.adapters} --facts {input.facts}"
        " --generations {input.generations} --settings {params.settings:q} {params.sampling:q} --scoring {params.scoring}"
        " --dtype {params.dtype} --seed {wildcards.seed} --state {wildcards.state} --split {wildcards.split}"
        " --probe {wildcards.probe} --checked {params.checked} --gpus {resources.gpu} --agreement {output.agreement} 2> {log}"


rule grade_generations:
    input:
        generations=expand(of_probe("generations-{shard}.parquet"), shard=range(PROBE["shards"]), allow_missing=True),
        facts=of_seed("facts.parquet"),
    output:
        grades=of_probe("grades.parquet"),
    log:
        log_file("grade_generations/{model}-seed{seed}-{state}-{split}-{probe}.log"),
    benchmark:
        benchmark_file("grade_generations/{model}-seed{seed}-{state}-{split}-{probe}.tsv")
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        code=code("grade_generations"),
    shell:
        "python scripts/grade_generations.py --generations {input.generations} --facts {input.facts}"
        " --grades {output.grades} 2> {log}"


rule categorize_facts:
    input:
        grades=of_probe("grades.parquet"),
        facts=of_seed("facts.parquet"),
    output:
        categories=of_probe("categories.parquet"),
        counts=of_probe("counts.csv"),
    log:
        log_file("categorize_facts/{model}-seed{seed}-{state}-{split}-{probe}.log"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        scoring=STUDY["scoring"],
        mode=mode,
        settled="--settled" if SETTLED else "",
        code=code("categorize_facts"),
    shell:
        "python scripts/categorize_facts.py --grades {input.grades} --facts {input.facts} --scoring {params.scoring}"
        " {params.settled} --mode {params.mode} --categories {output.categories} --counts {output.counts} 2> {log}"


rule estimate_chance:
    input:
        generations=expand(
            of_model(f"{layout.probe_folder('origin')}/generations-{{shard}}.parquet"),
            shard=range(PROBE["shards"]),
            allow_missing=True,
        ),
        categories=of_model(f"{layout.probe_folder('origin')}/categories.parquet"),
        facts=of_seed("facts.parquet"),
    output:
        chance=of_study(layout.chance("{seed}", "{model}")),
    log:
        log_file("estimate_chance/{model}-seed{seed}.log"),
    benchmark:
        benchmark_file("estimate_chance/{model}-seed{seed}.tsv")
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        scoring=STUDY["scoring"],
        code=code("estimate_chance"),
    shell:
        "python scripts/estimate_chance.py --generations {input.generations} --categories {input.categories}"
        " --facts {input.facts} --scoring {params.scoring} --chance {output.chance} 2> {log}"
