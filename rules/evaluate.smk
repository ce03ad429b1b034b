# Dev and test accuracy of the origin and of every epoch of a run, on fixed prompts.


rule evaluate_epochs:
    input:
        base=of_model("base/base.json"),
        facts=of_seed("facts.parquet"),
        adapters=lambda wildcards: adapter_files(evaluated_beneath(wildcards)),
        epochs=evaluated_epochs,
    output:
        generations=of_state("evaluation/generations.parquet"),
        usage=of_state("evaluation/usage.json"),
    log:
        log_file("evaluate_epochs/{model}-seed{seed}-{state}.log"),
    benchmark:
        of_study(layout.evaluation_benchmark("{seed}", "{model}", "{state}"))
    priority: urgency("evaluation")
    conda:
        ENGINE_ENVIRONMENT
    threads: THREADS
    resources:
        **ENGINE_RESOURCES,
    params:
        merge=lambda wildcards: expand(evaluated_beneath(wildcards), **wildcards),
        epochs=lambda wildcards: [f"--epochs {path}" for path in expand(evaluated_epochs(wildcards), **wildcards)],
        probe=as_json({k: PROBE[k] for k in ANSWERING}),
        settings=as_json(STUDY["evaluation"]),
        dtype=dtype,
        code=code("evaluate_epochs"),
    shell:
        "{resources.python} scripts/evaluate_epochs.py --base {input.base} --merge {params.merge} {params.epochs}"
        " --facts {input.facts} --probe {params.probe:q} --settings {params.settings:q} --dtype {params.dtype}"
        " --gpus {resources.gpu} --memory-percent {resources.gpu_memory_percent}"
        " --max-model-length {resources.max_model_length}"
        " --generations {output.generations} --usage {output.usage} 2> {log}"


rule grade_epochs:
    input:
        generations=of_state("evaluation/generations.parquet"),
        parent=parent_generations,
        facts=of_seed("facts.parquet"),
    output:
        grades=of_state("evaluation/grades.parquet"),
        accuracy=of_state("evaluation/accuracy.csv"),
    log:
        log_file("grade_epochs/{model}-seed{seed}-{state}.log"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        parent=lambda wildcards: (
            ["--parent", *expand(parent_generations(wildcards), **wildcards)] if parent_generations(wildcards) else []
        ),
        scoring=STUDY["scoring"],
        code=code("grade_epochs"),
    shell:
        "python scripts/grade_epochs.py --generations {input.generations} {params.parent} --facts {input.facts}"
        " --scoring {params.scoring} --state {wildcards.state} --grades {output.grades} --accuracy {output.accuracy}"
        " 2> {log}"
