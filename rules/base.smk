# The handle base.json stands for a base model, because its files may be in any folder.


rule pretrain_base:
    input:
        made_from("base"),
    output:
        base=result("base"),
        loss=f"{RESULTS}/seed{{seed}}/{{model}}/base/loss.csv",
        model=expand(
            f"{RESULTS}/seed{{seed}}/{{model}}/base/{{file}}",
            file=BASE_FILES,
            allow_missing=True,
        ),
    log:
        log_file("pretrain_base"),
    benchmark:
        benchmark_file("pretrain_base")
    wildcard_constraints:
        model=models_from("pretrain"),
    conda:
        environment("pretrain_base")
    threads: PRETRAINING_THREADS
    resources:
        python="python",
        gpu=GPU,
    params:
        model=lambda wildcards: without(MODELS[wildcards.model], "label", "paper", "runs", "dtype"),
        settings=verbatim(as_json(STUDY["pretraining"])),
        code=code("pretrain_base"),
    shell:
        "{resources.python} scripts/pretrain_base.py --corpus {input.corpus} --model {params.model:q}"
        " --settings {params.settings:q} --seed {wildcards.seed} --code {params.code} --gpus {resources.gpu}"
        " --loss {output.loss} --base {output.base} 2> {log}"


rule fetch_base:
    input:
        model_files,
    output:
        base=result("base"),
    log:
        log_file("fetch_base"),
    wildcard_constraints:
        model=models_from("folder", "hub"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        model=lambda wildcards: without(MODELS[wildcards.model], "label", "paper", "runs", "dtype"),
        content=model_content,
        code=code("fetch_base"),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python scripts/fetch_base.py --model {params.model:q} --base {output.base} 2> {log}"
