# A base model is known by its handle base.json, wherever its files are.


def models_from(*sources):
    """A wildcard constraint: the models of these sources; nothing matches where there are none."""
    return "|".join(name for name, model in MODELS.items() if model["source"] in sources) or "^$"


rule pretrain_base:
    input:
        corpus=SEED + "/corpus.parquet",
    output:
        base=MODEL + "/base/base.json",
        loss=MODEL + "/base/loss.csv",
        model=expand(
            MODEL + "/base/{file}",
            file=["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"],
            allow_missing=True,
        ),
    log:
        LOGS + "/pretrain_base/{model}-seed{seed}.log",
    benchmark:
        BENCHMARKS + "/pretrain_base/{model}-seed{seed}.tsv"
    threads: THREADS
    params:
        model=lambda wildcards: as_json(
            {k: v for k, v in MODELS[wildcards.model].items() if k not in ("label", "paper", "dtype")}
        ),
        settings=as_json(STUDY["pretraining"]),
        code=code("pretrain_base"),
    wildcard_constraints:
        model=models_from("pretrain"),
    conda:
        "../envs/study.yaml"
    shell:
        "python scripts/pretrain_base.py --corpus {input.corpus} --model {params.model:q} --settings {params.settings:q}"
        " --seed {wildcards.seed} --loss {output.loss} --base {output.base} 2> {log}"


rule fetch_base:
    output:
        base=MODEL + "/base/base.json",
    log:
        LOGS + "/fetch_base/{model}-seed{seed}.log",
    params:
        model=lambda wildcards: as_json(
            {k: v for k, v in MODELS[wildcards.model].items() if k in ("source", "path", "repo", "revision")}
        ),
        code=code("fetch_base"),
    wildcard_constraints:
        model=models_from("folder", "hub"),
    conda:
        "../envs/study.yaml"
    localrule: True
    shell:
        "python scripts/fetch_base.py --model {params.model:q} --base {output.base} 2> {log}"
