# The accuracy on dev and test, of the origin and of every epoch of a run, on fixed prompts. Then, in a study of answers that
# change, what a state answers about the groups of facts.


rule evaluate_epochs:
    input:
        made_from("evaluation"),
    output:
        generations=result("evaluation"),
        usage=result("evaluation_usage"),
    log:
        log_file("evaluate_epochs"),
    benchmark:
        benchmark_file("evaluate_epochs")
    priority: urgency("evaluation")
    conda:
        environment("evaluate_epochs")
    threads: THREADS
    resources:
        **ENGINE_RESOURCES,
    params:
        settings=verbatim(part(AnswerSettings, PROBE | {"exemplar_split": STUDY["evaluation"]["exemplar_split"]})),
        engine=PROBE["engine"],
        questions=STUDY["evaluation"]["splits"],
        seed=STUDY["evaluation"]["seed"],
        dtype=dtype,
        code=code("evaluate_epochs"),
    shell:
        "{resources.python} scripts/evaluate_epochs.py --base {input.base} --adapters {input.adapters}"
        " --epochs {input.epochs} --facts {input.facts} --settings {params.settings:q} --engine {params.engine}"
        " --questions {params.questions} --prompt-seed {params.seed} --dtype {params.dtype}"
        " --gpus {resources.gpu} --memory-percent {resources.gpu_memory_percent}"
        " --max-model-length {resources.max_model_length} --memory-mb {resources.engine_memory_mb}"
        " --code {params.code}"
        " --generations {output.generations} --usage {output.usage} 2> {log}"


rule grade_epochs:
    input:
        made_from("accuracy"),
    output:
        grades=result("evaluation_grades"),
        accuracy=result("accuracy"),
    log:
        log_file("grade_epochs"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        scoring=STUDY["scoring"],
        answers=STUDY["answers"],
        code=code("grade_epochs"),
    shell:
        "python scripts/grade_epochs.py --generations {input.generations} --parent {input.parent} --facts {input.facts}"
        " --scoring {params.scoring} --answers {params.answers} --state {wildcards.state} --grades {output.grades} --accuracy {output.accuracy}"
        " 2> {log}"


rule ask_groups:
    input:
        made_from("group_answers"),
        wordings=result("wordings") if WORDINGS else [],
    output:
        generations=result("group_answers"),
        usage=result("group_usage"),
    log:
        log_file("ask_groups"),
    benchmark:
        benchmark_file("ask_groups")
    priority: urgency("group_answers")
    conda:
        environment("ask_groups")
    threads: THREADS
    resources:
        **ENGINE_RESOURCES,
    params:
        settings=verbatim(part(AnswerSettings, PROBE | {"exemplar_split": STUDY["evaluation"]["exemplar_split"]})),
        engine=PROBE["engine"],
        asked=ASKED,
        seed=STUDY["evaluation"]["seed"],
        dtype=dtype,
        code=code("ask_groups"),
    shell:
        "{resources.python} scripts/ask_groups.py --base {input.base} --adapters {input.adapters} --facts {input.facts}"
        " --groups {input.groups} --wordings {input.wordings} --asked {params.asked} --settings {params.settings:q}"
        " --engine {params.engine} --prompt-seed {params.seed} --probe {wildcards.probe} --dtype {params.dtype}"
        " --gpus {resources.gpu} --memory-percent {resources.gpu_memory_percent}"
        " --max-model-length {resources.max_model_length} --memory-mb {resources.engine_memory_mb}"
        " --code {params.code}"
        " --generations {output.generations} --usage {output.usage} 2> {log}"


rule grade_groups:
    input:
        made_from("group_grades"),
    output:
        grades=result("group_grades"),
    log:
        log_file("grade_groups"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        scoring=STUDY["scoring"],
        code=code("grade_groups"),
    shell:
        "python scripts/grade_groups.py --generations {input.generations} --parent {input.parent} --facts {input.facts}"
        " --revisions {input.revisions} --scoring {params.scoring} --state {wildcards.state} --grades {output.grades}"
        " 2> {log}"
