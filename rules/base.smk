# A base model is known by its handle base.json, wherever its files are.


rule pretrain_base:
    input:
        corpus=of_seed("corpus.parquet"),
    output:
        base=of_model("base/base.json"),
        loss=of_model("base/loss.csv"),
        model=expand(
            of_model("base/{file}"),
            file=["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"],
            allow_missing=True,
        ),
    log:
        log_file("pretrain_base/{model}-seed{seed}.log"),
    benchmark:
        benchmark_file("pretrain_base/{model}-seed{seed}.tsv")
    wildcard_constraints:
        model=models_from("pretrain"),
    conda:
        "../envs/train.yaml"
    threads: PRETRAINING_THREADS
    resources:
        python="python",
        gpu=GPU,
    params:
        model=lambda wildcards: as_json(
            {k: v for k, v in MODELS[wildcards.model].items() if k not in ("label", "paper", "runs", "dtype")}
        ),
        settings=as_json(STUDY["pretraining"]),
        code=code("pretrain_base"),
    shell:
        "{resources.python} scripts/pretrain_base.py --corpus {input.corpus} --model {params.model:q}"
        " --settings {params.settings:q} --seed {wildcards.seed} --code {params.code} --gpus {resources.gpu}"
        " --loss {output.loss} --base {output.base} 2> {log}"


rule fetch_base:
    input:
        model_files,
    output:
        base=of_model("base/base.json"),
    log:
        log_file("fetch_base/{model}-seed{seed}.log"),
    wildcard_constraints:
        model=models_from("folder", "hub"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        model=lambda wildcards: as_json(
            {k: v for k, v in MODELS[wildcards.model].items() if k in ("source", "path", "repo", "revision")}
        ),
        code=code("fetch_base"),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python scripts/fetch_base.py --model {params.model:q} --base {output.base} 2> {log}"
