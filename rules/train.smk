# Categories -> selection -> adapters: one pair of rules for every run of the config.


rule select_facts:
    input:
        categories=lambda wildcards: [
            of_model(f"{layout.probe_folder(state)}/categories.parquet")
            for state in sorted(states_needed(RUNS[wildcards.run]))
        ],
        size_of=size_of,
    output:
        selection=of_run("selection.parquet"),
    log:
        log_file("select_facts/{model}-seed{seed}-{run}.log"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        states=lambda wildcards: sorted(states_needed(RUNS[wildcards.run])),
        select=lambda wildcards: as_json(RUNS[wildcards.run].select),
        replay=lambda wildcards: as_json(RUNS[wildcards.run].replay),
        size_of=lambda wildcards: [word for path in size_of(wildcards) for word in ("--size-of", path)],
        code=code("select_facts"),
    shell:
        "python scripts/select_facts.py --run {wildcards.run} --states {params.states} --categories {input.categories}"
        " --select {params.select:q} --replay {params.replay:q} {params.size_of} --seed {wildcards.seed}"
        " --selection {output.selection} 2> {log}"


# A run's epochs are known by their handle epochs.json, however many they are.


rule train_adapter:
    input:
        base=of_model("base/base.json"),
        facts=of_seed("facts.parquet"),
        selection=of_run("selection.parquet"),
        merge=lambda wildcards: adapter_files(adapter_folders(beneath(wildcards.run))),
        parent=lambda wildcards: adapter_files(adapter_folders(continued(wildcards.run))),
    output:
        epochs=of_run("epochs/epochs.json"),
        loss=of_run("loss.csv"),
    log:
        log_file("train_adapter/{model}-seed{seed}-{run}.log"),
    benchmark:
        of_study(layout.training_benchmark("{seed}", "{model}", "{run}"))
    priority: urgency("training")
    conda:
        "../envs/train.yaml"
    threads: THREADS
    resources:
        python="python",
        gpu=GPU,
    params:
        merge=lambda wildcards: expand(adapter_folders(beneath(wildcards.run)), **wildcards),
        parent=parent_adapter,
        settings=lambda wildcards: as_json(training_settings(wildcards)),
        ratio=lambda wildcards: (RUNS[wildcards.run].replay or {"ratio": 0.0})["ratio"],
        format=PROBE["format"],
        dtype=dtype,
        code=code("train_adapter"),
    shell:
        "{resources.python} scripts/train_adapter.py --base {input.base} --merge {params.merge} {params.parent}"
        " --facts {input.facts} --selection {input.selection} --settings {params.settings:q}"
        " --replay-ratio {params.ratio} --format {params.format} --dtype {params.dtype} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --gpus {resources.gpu} --loss {output.loss}"
        " --epochs {output.epochs} 2> {log}"


rule choose_epoch:
    input:
        accuracy=of_run("evaluation/accuracy.csv"),
        epochs=of_run("epochs/epochs.json"),
    output:
        adapter=adapter_files([of_run("adapter")]),
        chosen=of_run("adapter/chosen.json"),
    log:
        log_file("choose_epoch/{model}-seed{seed}-{run}.log"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        adapter=lambda wildcards: expand(of_run("adapter"), **wildcards),
        split=STUDY["choose_on"],
        code=code("choose_epoch"),
    shell:
        "python scripts/choose_epoch.py --accuracy {input.accuracy} --split {params.split} --epochs {input.epochs}"
        " --adapter {params.adapter} --chosen {output.chosen} 2> {log}"
