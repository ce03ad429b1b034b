# Raw files -> facts -> pretraining text.


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


rule build_corpus:
    input:
        made_from("corpus"),
    output:
        corpus=result("corpus"),
        exposure=result("exposure"),
    log:
        log_file("build_corpus"),
    benchmark:
        benchmark_file("build_corpus")
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        settings=verbatim(as_json(STUDY["corpus"])),
        code=code("build_corpus"),
    shell:
        "python scripts/build_corpus.py --facts {input.facts} --communities {input.communities}"
        " --settings {params.settings:q} --seed {wildcards.seed} --corpus {output.corpus} --exposure {output.exposure}"
        " 2> {log}"
