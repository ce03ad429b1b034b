# Raw files -> facts -> pretraining text.


if DOWNLOAD:

    rule download_dataset:
        output:
            DOWNLOAD,
        log:
            f"{RESULTS}/logs/download_dataset.log",
        localrule: True
        conda:
            "../envs/controller.yaml"
        params:
            url=STUDY["dataset"]["url"],
            digest=f"--sha256 {STUDY['dataset']['sha256']}" if STUDY["dataset"]["sha256"] else "",
            code=code("download_dataset"),
        shell:
            "python scripts/download_dataset.py --url {params.url:q} {params.digest} --output {output:q} 2> {log}"


rule build_facts:
    input:
        raw=lambda wildcards: dataset.raw_files(SOURCE),
        manifest=STUDY["dataset"]["manifest"] or [],
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
        dataset=without(STUDY["dataset"], "path", "url", "sha256"),
        world=as_json(STUDY["world"] if STUDY["dataset"]["reader"] == dataset.WORLD else {}),
        exemplars=as_json(dict.fromkeys(sorted(EXEMPLAR_SPLITS), PROBE["shots"])),
        source=["--source", str(SOURCE)] if SOURCE else [],
        code=code("build_facts"),
    shell:
        "python scripts/build_facts.py {params.source:q} --dataset {params.dataset:q} --world {params.world:q}"
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
        settings=as_json(STUDY["corpus"]),
        code=code("build_corpus"),
    shell:
        "python scripts/build_corpus.py --facts {input.facts} --communities {input.communities}"
        " --settings {params.settings:q} --seed {wildcards.seed} --corpus {output.corpus} --exposure {output.exposure}"
        " 2> {log}"
