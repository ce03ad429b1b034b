# Raw files -> facts -> revisions and wordings -> pretraining text. They come before a pretraining, so that faults show early.


rule build_facts:
    input:
        raw=lambda wildcards: trackable(dataset.raw_files(STUDY["dataset"])),
        manifest=trackable([STUDY["dataset"]["manifest"]] if STUDY["dataset"]["manifest"] else []),
    output:
        facts=result("facts"),
        communities=result("communities"),
        counts=result("fact_counts"),
    log:
        log_file("build_facts"),
    benchmark:
        benchmark_file("build_facts")
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        dataset=verbatim(DATASET),
        raw=lambda wildcards: raw_digest(),
        world=verbatim(as_json(STUDY["world"] if STUDY["dataset"]["reader"] == dataset.WORLD else {})),
        exemplars=verbatim(as_json(dict.fromkeys(sorted(EXEMPLAR_SPLITS), PROBE["shots"]))),
        code=code("build_facts"),
    shell:
        "python scripts/build_facts.py --dataset {params.dataset:q} --world {params.world:q}"
        " --exemplars {params.exemplars:q} --seed {wildcards.seed} --facts {output.facts}"
        " --communities {output.communities} --counts {output.counts} 2> {log}"


# A study of answers that change has these rules. Without dataset.revisions and dataset.wordings, there are none.

if REVISIONS:

    rule revise_facts:
        input:
            made_from("revisions"),
            told=result("exposure") if any(m["source"] == "pretrain" for m in MODELS.values()) else [],
            dated=trackable([DATED] if DATED else []),
        output:
            revisions=result("revisions"),
            groups=result("groups"),
        log:
            log_file("revise_facts"),
        benchmark:
            benchmark_file("revise_facts")
        priority: LIGHT
        localrule: True
        conda:
            "../envs/controller.yaml"
        params:
            settings=verbatim(as_json(REVISIONS | {"domains": list(REVISIONS["domains"].items())})),  # in their order
            dated=lambda wildcards: digest(DATED) if DATED else "",
            code=code("revise_facts"),
        shell:
            "python scripts/revise_facts.py --facts {input.facts} --told {input.told} --settings {params.settings:q}"
            " --seed {wildcards.seed} --revisions {output.revisions} --groups {output.groups} 2> {log}"


if WORDINGS:

    rule reword_questions:
        input:
            made_from("wordings"),
            raw=trackable(dataset.raw_files(STUDY["dataset"]) if WORDINGS["columns"] else []),
        output:
            wordings=result("wordings"),
        log:
            log_file("reword_questions"),
        benchmark:
            benchmark_file("reword_questions")
        priority: LIGHT
        localrule: True
        conda:
            "../envs/controller.yaml"
        params:
            dataset=verbatim(DATASET if WORDINGS["columns"] else "{}"),
            raw=lambda wildcards: raw_digest() if WORDINGS["columns"] else "",
            numbers=sorted({0, *WORDINGS["train"], *WORDINGS["augment"], *WORDINGS["test"]}),
            columns=verbatim(WORDINGS["columns"] or []),
            code=code("reword_questions"),
        shell:
            "python scripts/reword_questions.py --dataset {params.dataset:q} --numbers {params.numbers}"
            " --columns {params.columns:q} --facts {input.facts} --wordings {output.wordings} 2> {log}"


rule build_corpus:
    input:
        made_from("corpus"),
        wordings=result("wordings") if STUDY["corpus"]["reworded"] or STUDY["corpus"]["rewrite"] else [],
    output:
        corpus=result("corpus"),
        exposure=result("exposure"),
    log:
        log_file("build_corpus"),
    benchmark:
        benchmark_file("build_corpus")
    priority: LIGHT
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        settings=verbatim(as_json(STUDY["corpus"])),
        rewritten=sorted({0, *WORDINGS["train"], *WORDINGS["augment"]}) if STUDY["corpus"]["rewrite"] else [],
        code=code("build_corpus"),
    shell:
        "python scripts/build_corpus.py --facts {input.facts} --communities {input.communities} --wordings {input.wordings}"
        " --rewritten {params.rewritten}"
        " --settings {params.settings:q} --seed {wildcards.seed} --corpus {output.corpus} --exposure {output.exposure}"
        " 2> {log}"
