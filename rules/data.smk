# Raw files -> facts.


if DOWNLOAD:

    rule download_dataset:
        output:
            DOWNLOAD,
        log:
            log_file("download_dataset.log"),
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
        raw=raw_files,
        manifest=STUDY["dataset"]["manifest"] or [],
    output:
        facts=of_seed("facts.parquet"),
        communities=of_seed("communities.parquet"),
        counts=of_seed("facts.csv"),
    log:
        log_file("build_facts/seed{seed}.log"),
    benchmark:
        benchmark_file("build_facts/seed{seed}.tsv")
    localrule: True
    conda:
        "../envs/controller.yaml"
    params:
        dataset=as_json({k: v for k, v in STUDY["dataset"].items() if k not in ("path", "url", "sha256")}),
        world=as_json(STUDY["world"] if STUDY["dataset"]["reader"] == "world" else {}),
        exemplars=as_json(
            {split: PROBE["shots"] for split in (PROBE["exemplar_split"], STUDY["evaluation"]["exemplar_split"])}
        ),
        source=["--source", SOURCE] if SOURCE else [],
        code=code("build_facts"),
    shell:
        "python scripts/build_facts.py {params.source:q} --dataset {params.dataset:q} --world {params.world:q}"
        " --exemplars {params.exemplars:q} --seed {wildcards.seed} --facts {output.facts}"
        " --communities {output.communities} --counts {output.counts} 2> {log}"


rule build_corpus:
    input:
        facts=of_seed("facts.parquet"),
        communities=of_seed("communities.parquet"),
    output:
        corpus=of_seed("corpus.parquet"),
        exposure=of_seed("exposure.parquet"),
    log:
        log_file("build_corpus/seed{seed}.log"),
    benchmark:
        benchmark_file("build_corpus/seed{seed}.tsv")
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
