# Facts -> prompts -> generations -> grades -> categories, for any state.


rule check_answers:
    input:
        made_from("answerable"),
    output:
        answerable=result("answerable"),
    log:
        log_file("check_answers"),
    benchmark:
        benchmark_file("check_answers")
    priority: urgency("answerable")
    conda:
        environment("check_answers")
    resources:
        python="python",
        unanswerable=str(PROBE["unanswerable"]),  # no result depends on it, so another share re-runs no probe
    params:
        limits=verbatim(part(Limits, PROBE)),
        answers=STUDY["answers"],
        code=code("check_answers"),
    shell:
        "{resources.python} scripts/check_answers.py --base {input.base} --facts {input.facts} --limits {params.limits:q}"
        " --unanswerable {resources.unanswerable}"
        " --answers {params.answers} --answerable {output.answerable} 2> {log}"


rule probe_facts:
    input:
        made_from("generations"),
    output:
        generations=result("generations"),
        usage=result("probe_usage"),
    log:
        log_file("probe_facts"),
    benchmark:
        benchmark_file("probe_facts")
    priority: urgency("generations")
    conda:
        environment("probe_facts")
    threads: THREADS
    resources:
        **ENGINE_RESOURCES,
    params:
        settings=verbatim(part(AnswerSettings, PROBE)),
        sampling=sampling,
        counts=counts,
        answers=STUDY["answers"],
        engine=PROBE["engine"],
        prompts=PROBE["prompts"],
        shards=PROBE["shards"],
        dtype=dtype,
        code=code("probe_facts"),
    shell:
        "{resources.python} scripts/probe_facts.py --base {input.base} --adapters {input.adapters} --facts {input.facts}"
        " --settings {params.settings:q} {params.sampling:q} --counts {params.counts} --answers {params.answers} --engine {params.engine}"
        " --prompts {params.prompts} --dtype {params.dtype} --seed {wildcards.seed} --state {wildcards.state}"
        " --questions {wildcards.questions} --probe {wildcards.probe} --shard {wildcards.shard} --shards {params.shards}"
        " --gpus {resources.gpu} --memory-percent {resources.gpu_memory_percent}"
        " --max-model-length {resources.max_model_length} --memory-mb {resources.engine_memory_mb}"
        " --code {params.code}"
        " --generations {output.generations} --usage {output.usage} 2> {log}"


rule check_probe:
    input:
        made_from("agreement"),
    output:
        agreement=result("agreement"),
    log:
        log_file("check_probe"),
    benchmark:
        benchmark_file("check_probe")
    priority: urgency("agreement")
    conda:
        environment("check_probe")
    threads: THREADS
    resources:
        python="python",
        gpu=GPU,
    params:
        settings=verbatim(part(AnswerSettings, PROBE)),
        sampling=sampling,
        prompts=PROBE["prompts"],
        scoring=STUDY["scoring"],
        answers=STUDY["answers"],
        dtype=dtype,
        checked=PROBE["checked"],
        code=code("check_probe"),
    shell:
        "{resources.python} scripts/check_probe.py --base {input.base} --adapters {input.adapters} --facts {input.facts}"
        " --generations {input.generations} --settings {params.settings:q} {params.sampling:q} --prompts {params.prompts}"
        " --scoring {params.scoring} --answers {params.answers} --dtype {params.dtype} --seed {wildcards.seed} --state {wildcards.state}"
        " --questions {wildcards.questions} --probe {wildcards.probe} --checked {params.checked} --gpus {resources.gpu}"
        " --agreement {output.agreement} 2> {log}"


rule grade_generations:
    input:
        made_from("probe_grades"),
    output:
        grades=result("probe_grades"),
    log:
        log_file("grade_generations"),
    benchmark:
        benchmark_file("grade_generations")
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        answers=STUDY["answers"],
        code=code("grade_generations"),
    shell:
        "python scripts/grade_generations.py --generations {input.generations} --facts {input.facts}"
        " --answers {params.answers} --grades {output.grades} 2> {log}"


rule categorize_facts:
    input:
        made_from("categories"),
    output:
        categories=result("categories"),
        counts=result("category_counts"),
    log:
        log_file("categorize_facts"),
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        scoring=STUDY["scoring"],
        mode=mode,
        settled="--settled" if PROBE["counts"] == "settled" else "",
        code=code("categorize_facts"),
    shell:
        "python scripts/categorize_facts.py --grades {input.grades} --facts {input.facts} --scoring {params.scoring}"
        " {params.settled} --mode {params.mode} --categories {output.categories} --counts {output.counts} 2> {log}"


rule estimate_chance:
    input:
        made_from("chance"),
    output:
        chance=result("chance"),
    log:
        log_file("estimate_chance"),
    benchmark:
        benchmark_file("estimate_chance")
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        scoring=STUDY["scoring"],
        answers=STUDY["answers"],
        code=code("estimate_chance"),
    shell:
        "python scripts/estimate_chance.py --generations {input.generations} --categories {input.categories}"
        " --facts {input.facts} --scoring {params.scoring} --answers {params.answers} --chance {output.chance} 2> {log}"
