# Categories -> selection -> examples -> adapters: one set of rules for every run of the config.


rule select_facts:
    input:
        made_from("selection"),
    output:
        selection=result("selection"),
    log:
        log_file("select_facts"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        states=lambda wildcards: selected_states(RUNS[wildcards.state]),
        select=lambda wildcards: as_json(RUNS[wildcards.state].select),
        replay=lambda wildcards: replayed(RUNS[wildcards.state]),
        code=code("select_facts"),
    shell:
        "python scripts/select_facts.py --run {wildcards.state} --states {params.states} --categories {input.categories}"
        " --select {params.select:q} --replay {params.replay:q} --size-of {input.size_of} --seed {wildcards.seed}"
        " --selection {output.selection} 2> {log}"


rule build_examples:
    input:
        made_from("examples"),
    output:
        examples=result("examples"),
    log:
        log_file("build_examples"),
    wildcard_constraints:
        state=states_with("gold"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        code=code("build_examples"),
    shell:
        "python scripts/build_examples.py --selection {input.selection} --facts {input.facts}"
        " --examples {output.examples} 2> {log}"


rule draw_answers:
    input:
        made_from("examples"),
    output:
        examples=result("examples"),
    log:
        log_file("draw_answers"),
    wildcard_constraints:
        state=states_with("drawn"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        code=code("draw_answers"),
    shell:
        "python scripts/draw_answers.py --selection {input.selection} --facts {input.facts} --run {wildcards.state}"
        " --seed {wildcards.seed} --examples {output.examples} 2> {log}"


# The handle epochs.json stands for all epochs of a run, because their number differs between runs.


rule train_adapter:
    input:
        made_from("epochs"),
    output:
        epochs=result("epochs"),
        texts=result("texts"),
        loss=result("loss"),
    log:
        log_file("train_adapter"),
    benchmark:
        benchmark_file("train_adapter")
    wildcard_constraints:
        state=states_of("trained"),
    priority: urgency("epochs")
    conda:
        environment("train_adapter")
    threads: THREADS
    resources:
        python="python",
        gpu=GPU,
    params:
        settings=lambda wildcards: as_json(asdict(RUNS[wildcards.state].training)),
        ratio=lambda wildcards: replay.ratio if (replay := RUNS[wildcards.state].replay) else 0.0,
        format=PROBE["format"],
        template_arguments=verbatim(as_json(PROBE["template_arguments"])),
        dtype=dtype,
        code=lambda wildcards: code("train_adapter", objective=RUNS[wildcards.state].training.objective),
    shell:
        "{resources.python} scripts/train_adapter.py --base {input.base} --examples {input.examples}"
        " --merge {input.merge} --parent {input.parent} --settings {params.settings:q}"
        " --replay-ratio {params.ratio} --format {params.format} --template-arguments {params.template_arguments:q}"
        " --dtype {params.dtype} --run {wildcards.state}"
        " --seed {wildcards.seed} --code {params.code} --gpus {resources.gpu} --loss {output.loss}"
        " --texts {output.texts} --epochs {output.epochs} 2> {log}"


rule choose_epoch:
    input:
        made_from("adapter"),
    output:
        adapter=result("adapter"),
        files=[f"{Path(result('adapter')).parent}/{name}" for name in ADAPTER_FILES],
    log:
        log_file("choose_epoch"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        split=STUDY["choose_on"],
        code=code("choose_epoch"),
    shell:
        "python scripts/choose_epoch.py --accuracy {input.accuracy} --split {params.split} --epochs {input.epochs}"
        " --adapter {output.adapter} 2> {log}"
