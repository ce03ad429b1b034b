# Categories -> selection -> adapters: one pair of rules for every run of the config.


rule select_facts:
    input:
        categories=lambda wildcards: [
            of_model(f"{state}/probe-0/categories.parquet")
            for state in sorted(study.states_needed(RUNS[wildcards.run]))
        ],
    output:
        selection=of_run("selection.parquet"),
    log:
        log_file("select_facts/{model}-seed{seed}-{run}.log"),
    localrule: True
    conda:
        "../envs/study.yaml"
    params:
        states=lambda wildcards: sorted(study.states_needed(RUNS[wildcards.run])),
        select=lambda wildcards: as_json(RUNS[wildcards.run].select),
        replay=lambda wildcards: as_json(RUNS[wildcards.run].replay),
        code=code("select_facts"),
    shell:
        "python scripts/select_facts.py --run {wildcards.run} --states {params.states} --categories {input.categories}"
        " --select {params.select:q} --replay {params.replay:q} --selection {output.selection} 2> {log}"


# One rule for all runs; its outputs, an adapter per epoch, depend on the run's number of epochs, so it is declared per run.
for run in RUNS:

    rule:
        name:
            f"train_adapter_{run}"
        input:
            base=of_model("base/base.json"),
            facts=of_seed("facts.parquet"),
            selection=of_model(f"{run}/selection.parquet"),
            merge=adapter_files(adapter_folders(beneath(run))),
            parent=adapter_files(adapter_folders(continued(run))),
        output:
            epochs=adapter_files(epoch_folders(run)),
            loss=of_model(f"{run}/loss.csv"),
        log:
            log_file(f"train_adapter/{{model}}-seed{{seed}}-{run}.log"),
        benchmark:
            benchmark_file(f"train_adapter/{{model}}-seed{{seed}}-{run}.tsv")
        conda:
            "../envs/study.yaml"
        threads: THREADS
        params:
            run=run,
            merge=in_folders(beneath(run)),
            parent=in_folders(continued(run), "--parent"),
            epochs=lambda wildcards, run=run: expand(epoch_folders(run), **wildcards),
            settings=as_json({k: v for k, v in RUNS[run].settings.items() if k != "adapter"}),
            ratio=RUNS[run].replay["ratio"] if RUNS[run].replay else 0.0,
            format=PROBE["format"],
            dtype=dtype,
            code=code("train_adapter"),
        shell:
            "python scripts/train_adapter.py --base {input.base} --merge {params.merge} {params.parent}"
            " --facts {input.facts} --selection {input.selection} --settings {params.settings:q}"
            " --replay-ratio {params.ratio} --format {params.format} --dtype {params.dtype} --run {params.run}"
            " --seed {wildcards.seed} --code {params.code} --loss {output.loss} --epochs {params.epochs} 2> {log}"


rule choose_epoch:
    input:
        accuracy=of_run("evaluation/accuracy.csv"),
        epochs=lambda wildcards: adapter_files(epoch_folders(wildcards.run)),
    output:
        adapter=adapter_files([of_run("adapter")]),
        chosen=of_run("adapter/chosen.json"),
    log:
        log_file("choose_epoch/{model}-seed{seed}-{run}.log"),
    localrule: True
    conda:
        "../envs/study.yaml"
    params:
        epochs=lambda wildcards: expand(epoch_folders(wildcards.run), **wildcards),
        adapter=lambda wildcards: expand(of_run("adapter"), **wildcards),
        split=STUDY["choose_on"],
        code=code("choose_epoch"),
    shell:
        "python scripts/choose_epoch.py --accuracy {input.accuracy} --split {params.split} --epochs {params.epochs}"
        " --adapter {params.adapter} --chosen {output.chosen} 2> {log}"
