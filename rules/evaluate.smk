# Dev and test accuracy of the origin and of every epoch of a run, on fixed prompts.


def evaluated_epochs(wildcards):
    return [] if wildcards.state == "origin" else epoch_folders(wildcards.state)


def evaluated_beneath(wildcards):
    return [] if wildcards.state == "origin" else adapter_folders(beneath(wildcards.state))


rule evaluate_epochs:
    input:
        base=MODEL + "/base/base.json",
        facts=SEED + "/facts.parquet",
        adapters=lambda wildcards: adapter_files(evaluated_beneath(wildcards) + evaluated_epochs(wildcards)),
    output:
        generations=STATE + "/evaluation/generations.parquet",
    log:
        LOGS + "/evaluate_epochs/{model}-seed{seed}-{state}.log",
    benchmark:
        BENCHMARKS + "/evaluate_epochs/{model}-seed{seed}-{state}.tsv"
    threads: THREADS
    params:
        merge=lambda wildcards: expand(evaluated_beneath(wildcards), **wildcards),
        epochs=lambda wildcards: expand(evaluated_epochs(wildcards), **wildcards),
        probe=as_json({k: PROBE[k] for k in ("shots", "exemplars", "format", "stop", "max_new_tokens")}),
        settings=as_json(STUDY["evaluation"]),
        dtype=dtype,
        code=code("evaluate_epochs"),
    conda:
        "../envs/study.yaml"
    shell:
        "python scripts/evaluate_epochs.py --base {input.base} --merge {params.merge} --epochs {params.epochs}"
        " --facts {input.facts} --probe {params.probe:q} --settings {params.settings:q} --dtype {params.dtype}"
        " --generations {output.generations} 2> {log}"


def parent_generations(wildcards):
    """The parent's answers, which a run's must not all equal."""
    return [] if wildcards.state == "origin" else f"{MODEL}/{RUNS[wildcards.state].parent}/evaluation/generations.parquet"


rule grade_epochs:
    input:
        generations=STATE + "/evaluation/generations.parquet",
        parent=parent_generations,
        facts=SEED + "/facts.parquet",
    output:
        grades=STATE + "/evaluation/grades.parquet",
        accuracy=STATE + "/evaluation/accuracy.csv",
    log:
        LOGS + "/grade_epochs/{model}-seed{seed}-{state}.log",
    params:
        parent=lambda wildcards: ["--parent", *expand(parent_generations(wildcards), **wildcards)]
        if parent_generations(wildcards)
        else [],
        scoring=STUDY["scoring"],
        code=code("grade_epochs"),
    conda:
        "../envs/study.yaml"
    localrule: True
    shell:
        "python scripts/grade_epochs.py --generations {input.generations} {params.parent} --facts {input.facts}"
        " --scoring {params.scoring} --state {wildcards.state} --grades {output.grades} --accuracy {output.accuracy}"
        " 2> {log}"
