# Categories -> selection -> examples -> adapters: one set of rules for every run of the config.


rule select_facts:
    input:
        made_from("selection"),
    output:
        selection=result("selection"),
    log:
        log_file("select_facts"),
    wildcard_constraints:
        state=states_by("select_facts", "selection"),
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


rule select_groups:
    input:
        made_from("selection"),
    output:
        selection=result("selection"),
    log:
        log_file("select_groups"),
    wildcard_constraints:
        state=states_by("select_groups", "selection"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        facts=lambda wildcards: RUNS[wildcards.state].facts,
        domain=lambda wildcards: RUNS[wildcards.state].domain,
        replay=lambda wildcards: replayed(RUNS[wildcards.state]),
        code=code("select_groups"),
    shell:
        "python scripts/select_groups.py --run {wildcards.state} --groups {input.groups} --facts {params.facts}"
        " --domain {params.domain} --replay {params.replay} --selection {output.selection} 2> {log}"


rule build_examples:
    input:
        made_from("examples"),
    output:
        examples=result("examples"),
    log:
        log_file("build_examples"),
    wildcard_constraints:
        state=states_by("build_examples", "examples"),
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
        state=states_by("draw_answers", "examples"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        code=code("draw_answers"),
    shell:
        "python scripts/draw_answers.py --selection {input.selection} --facts {input.facts} --run {wildcards.state}"
        " --seed {wildcards.seed} --examples {output.examples} 2> {log}"


rule revise_examples:
    input:
        made_from("examples"),
        wordings=result("wordings") if WORDINGS else [],
    output:
        examples=result("examples"),
    log:
        log_file("revise_examples"),
    wildcard_constraints:
        state=states_by("revise_examples", "examples"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        trained=TRAINED,
        revision=lambda wildcards: [] if (n := RUNS[wildcards.state].revision) is None else [n],
        domain=lambda wildcards: RUNS[wildcards.state].domain,
        code=code("revise_examples"),
    shell:
        "python scripts/revise_examples.py --selection {input.selection} --facts {input.facts}"
        " --revisions {input.revisions} --groups {input.groups} --wordings {input.wordings} --trained {params.trained}"
        " --revision {params.revision} --domain {params.domain} --examples {output.examples} 2> {log}"


rule compose_adapters:
    input:
        made_from("composition"),
    output:
        composition=result("composition"),
        files=[f"{Path(result('composition')).parent}/{name}" for name in ADAPTER_FILES],
    log:
        log_file("compose_adapters"),
    benchmark:
        benchmark_file("compose_adapters")
    priority: urgency("composition")
    conda:
        environment("compose_adapters")
    threads: THREADS
    resources:
        python="python",
        gpu=GPU,
    params:
        states=lambda wildcards: [*composed(RUNS[wildcards.state], RUNS), wildcards.state],
        sharpness=lambda wildcards: RUNS[wildcards.state].sharpness,
        dtype=dtype,
        code=code("compose_adapters"),
    shell:
        "{resources.python} scripts/compose_adapters.py --base {input.base} --states {params.states}"
        " --examples {input.examples} --adapters {input.adapters} --compositions {input.compositions}"
        " --sharpness {params.sharpness} --dtype {params.dtype} --gpus {resources.gpu}"
        " --composition {output.composition} 2> {log}"


rule sample_answers:
    input:
        made_from("samples"),
    output:
        samples=result("samples"),
        usage=result("samples_usage"),
    log:
        log_file("sample_answers"),
    benchmark:
        benchmark_file("sample_answers")
    wildcard_constraints:
        state=states_that_prefer(),
    priority: urgency("samples")
    conda:
        environment("sample_answers")
    threads: THREADS
    resources:
        **ENGINE_RESOURCES,
    params:
        settings=verbatim(part(AnswerSettings, PROBE)),
        sampling=lambda wildcards: as_json(asdict(RUNS[wildcards.state].preference.sampling)),
        scoring=STUDY["scoring"],
        engine=PROBE["engine"],
        parent=lambda wildcards: RUNS[wildcards.state].parent,
        dtype=dtype,
        code=code("sample_answers"),
    shell:
        "{resources.python} scripts/sample_answers.py --base {input.base} --adapters {input.adapters}"
        " --examples {input.examples} --settings {params.settings:q} --sampling {params.sampling:q}"
        " --scoring {params.scoring} --engine {params.engine} --dtype {params.dtype} --seed {wildcards.seed}"
        " --parent {params.parent} --gpus {resources.gpu} --memory-percent {resources.gpu_memory_percent}"
        " --max-model-length {resources.max_model_length} --memory-mb {resources.engine_memory_mb}"
        " --code {params.code} --samples {output.samples} --usage {output.usage} 2> {log}"


# A run that augments its questions, or that has the steps or the tokens of another run, first has its own examples. Then it adds the
# questions that its parent writes about them, or it repeats them.


use rule revise_examples as revise_own_examples with:
    input:
        made_from("own_examples"),
        wordings=result("wordings") if WORDINGS else [],
    output:
        examples=result("own_examples"),
    log:
        log_file("revise_own_examples"),
    wildcard_constraints:
        state="|".join(states_by(name, "examples") for name in steps.ADDING),
    localrule: True  # which `use rule` does not take over


rule augment_questions:
    input:
        made_from("augmented"),
        wordings=result("wordings") if WORDINGS else [],
    output:
        augmented=result("augmented"),
        counts=result("augmented_counts"),
        usage=result("augmented_usage"),
    log:
        log_file("augment_questions"),
    benchmark:
        benchmark_file("augment_questions")
    wildcard_constraints:
        state=states_by("augment_examples", "examples"),
    priority: urgency("augmented")
    conda:
        environment("augment_questions")
    threads: THREADS
    resources:
        **ENGINE_RESOURCES,
    params:
        ways=lambda wildcards: RUNS[wildcards.state].augment.ways,
        source=lambda wildcards: RUNS[wildcards.state].augment.source,
        taught=lambda wildcards: ["--taught"] if MODELS[wildcards.model]["source"] == "pretrain" else [],
        agreement=lambda wildcards: ["--agreement"] if RUNS[wildcards.state].augment.keep.agreement else [],
        reworded=WORDINGS["augment"] if WORDINGS else [],
        tested=WORDINGS["test"] if WORDINGS else [],
        revision=lambda wildcards: [] if (n := RUNS[wildcards.state].revision) is None else [n],
        settings=verbatim(part(AnswerSettings, PROBE | {"exemplar_split": STUDY["evaluation"]["exemplar_split"]})),
        engine=PROBE["engine"],
        seed=STUDY["evaluation"]["seed"],
        dtype=dtype,
        code=code("augment_questions"),
    shell:
        "{resources.python} scripts/augment_questions.py --base {input.base} --adapters {input.adapters} --own {input.own}"
        " --facts {input.facts} --revisions {input.revisions} --groups {input.groups} --wordings {input.wordings}"
        " --reworded {params.reworded} --tested {params.tested} --ways {params.ways} --source {params.source}"
        " {params.taught} {params.agreement} --revision {params.revision} --settings {params.settings:q}"
        " --engine {params.engine} --prompt-seed {params.seed} --dtype {params.dtype} --seed {wildcards.seed}"
        " --gpus {resources.gpu} --memory-percent {resources.gpu_memory_percent}"
        " --max-model-length {resources.max_model_length} --memory-mb {resources.engine_memory_mb} --code {params.code}"
        " --augmented {output.augmented} --counts {output.counts} --usage {output.usage} 2> {log}"


rule augment_examples:
    input:
        made_from("examples"),
    output:
        examples=result("examples"),
    log:
        log_file("augment_examples"),
    wildcard_constraints:
        state=states_by("augment_examples", "examples"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        keep=lambda wildcards: as_json(asdict(RUNS[wildcards.state].augment.keep)),
        code=code("augment_examples"),
    shell:
        "python scripts/augment_examples.py --own {input.own} --augmented {input.augmented} --keep {params.keep:q}"
        " --seed {wildcards.seed} --examples {output.examples} 2> {log}"


rule match_steps:
    input:
        made_from("examples"),
    output:
        examples=result("examples"),
    log:
        log_file("match_steps"),
    wildcard_constraints:
        state=states_by("match_steps", "examples"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        code=code("match_steps"),
    shell:
        "python scripts/match_steps.py --own {input.own} --other {input.other} --seed {wildcards.seed}"
        " --examples {output.examples} 2> {log}"


rule match_tokens:
    input:
        made_from("examples"),
    output:
        examples=result("examples"),
    log:
        log_file("match_tokens"),
    wildcard_constraints:
        state=states_by("match_tokens", "examples"),
    priority: LIGHT
    conda:
        environment("match_tokens")
    resources:
        python="python",
    params:
        format=PROBE["format"],
        template_arguments=verbatim(as_json(PROBE["template_arguments"])),
        code=code("match_tokens"),
    shell:
        "{resources.python} scripts/match_tokens.py --base {input.base} --own {input.own} --other {input.other}"
        " --format {params.format} --template-arguments {params.template_arguments:q} --seed {wildcards.seed}"
        " --examples {output.examples} 2> {log}"


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
        state=states_by("train_adapter", "epochs"),
    priority: urgency("epochs")
    conda:
        environment("train_adapter")
    threads: THREADS
    resources:
        python="python",
        gpu=GPU,
        trackers="none",  # where the training is shown
    params:
        settings=lambda wildcards: training_settings(RUNS[wildcards.state]),
        ratio=lambda wildcards: replay.ratio if (replay := RUNS[wildcards.state].replay) else 0.0,
        format=PROBE["format"],
        template_arguments=verbatim(as_json(PROBE["template_arguments"])),
        dtype=dtype,
        code=lambda wildcards: code("train_adapter", objective=RUNS[wildcards.state].training.objective),
    shell:
        "{resources.python} scripts/train_adapter.py --base {input.base} --examples {input.examples}"
        " --samples {input.samples} --merge {input.merge} --parent {input.parent} --settings {params.settings:q}"
        " --replay-ratio {params.ratio} --format {params.format} --template-arguments {params.template_arguments:q}"
        " --dtype {params.dtype} --run {wildcards.state}"
        " --seed {wildcards.seed} --code {params.code} --gpus {resources.gpu} --trackers {resources.trackers:q}"
        " --loss {output.loss}"
        " --texts {output.texts} --epochs {output.epochs} 2> {log}"


rule choose_epoch:
    input:
        made_from("adapter"),
    output:
        adapter=result("adapter"),
        files=[f"{Path(result('adapter')).parent}/{name}" for name in ADAPTER_FILES],
    log:
        log_file("choose_epoch"),
    wildcard_constraints:
        state=states_by("choose_epoch", "adapter"),
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


rule keep_last_epoch:
    input:
        made_from("adapter"),
    output:
        adapter=result("adapter"),
        files=[f"{Path(result('adapter')).parent}/{name}" for name in ADAPTER_FILES],
    log:
        log_file("keep_last_epoch"),
    wildcard_constraints:
        state=states_by("keep_last_epoch", "adapter"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        code=code("keep_last_epoch"),
    shell:
        "python scripts/keep_last_epoch.py --epochs {input.epochs} --adapter {output.adapter} 2> {log}"


rule scale_adapter:
    input:
        made_from("adapter"),
    output:
        adapter=result("adapter"),
        files=[f"{Path(result('adapter')).parent}/{name}" for name in ADAPTER_FILES],
    log:
        log_file("scale_adapter"),
    wildcard_constraints:
        state=states_by("scale_adapter", "adapter"),
    priority: LIGHT
    conda:
        environment("scale_adapter")
    resources:
        python="python",
    params:
        scale=lambda wildcards: RUNS[wildcards.state].scale,
        code=code("scale_adapter"),
    shell:
        "{resources.python} scripts/scale_adapter.py --epochs {input.epochs} --scale {params.scale}"
        " --adapter {output.adapter} 2> {log}"


rule measure_change:
    input:
        made_from("change"),
    output:
        change=result("change"),
    log:
        log_file("measure_change"),
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        code=code("measure_change"),
    shell:
        "python scripts/measure_change.py --adapters {input.adapters} --change {output.change} 2> {log}"
