# Raw files -> facts.


def raw_source():
    """The dataset's raw files: the local path where it exists, else the download; nothing for the generated world."""
    dataset = STUDY["dataset"]
    if dataset["reader"] == "world":
        return None
    if dataset["path"] and (Path(dataset["path"]).expanduser().exists() or not dataset["url"]):
        return str(Path(dataset["path"]).expanduser())
    return f"data/{STUDY['study']}-{dataset['url'].rpartition('/')[2]}"


SOURCE = raw_source()


def raw_files(wildcards):
    """What Snakemake tracks of the raw files: each file of a folder, or the archive."""
    if SOURCE and Path(SOURCE).is_dir():
        return sorted(str(p) for p in Path(SOURCE).rglob("*") if p.suffix in (".json", ".jsonl", ".tsv"))
    return [SOURCE] if SOURCE else []


rule download_dataset:
    output:
        f"data/{STUDY['study']}-{{archive}}",
    log:
        LOGS + "/download_dataset/{archive}.log",
    params:
        url=STUDY["dataset"]["url"],
        digest=STUDY["dataset"]["sha256"],
        code=code("download_dataset"),
    conda:
        "../envs/study.yaml"
    localrule: True
    shell:
        "python scripts/download_dataset.py --url {params.url:q} --sha256 {params.digest:q} --output {output:q} 2> {log:q}"


rule build_facts:
    input:
        raw=raw_files,
    output:
        facts=SEED + "/facts.parquet",
        communities=SEED + "/communities.parquet",
        counts=SEED + "/facts.csv",
    log:
        LOGS + "/build_facts/seed{seed}.log",
    benchmark:
        BENCHMARKS + "/build_facts/seed{seed}.tsv"
    params:
        dataset=as_json({k: v for k, v in STUDY["dataset"].items() if k not in ("path", "url", "sha256")}),
        world=as_json(STUDY["world"] if STUDY["dataset"]["reader"] == "world" else {}),
        exemplars=as_json({split: PROBE["shots"] for split in (PROBE["exemplar_split"], STUDY["evaluation"]["exemplar_split"])}),
        source=f"--source {SOURCE}" if SOURCE else "",
        code=code("build_facts"),
    conda:
        "../envs/study.yaml"
    shell:
        "python scripts/build_facts.py {params.source} --dataset {params.dataset:q} --world {params.world:q}"
        " --exemplars {params.exemplars:q} --seed {wildcards.seed} --facts {output.facts} --communities {output.communities} --counts {output.counts}"
        " 2> {log}"


rule build_corpus:
    input:
        facts=SEED + "/facts.parquet",
        communities=SEED + "/communities.parquet",
    output:
        corpus=SEED + "/corpus.parquet",
        exposure=SEED + "/exposure.parquet",
    log:
        LOGS + "/build_corpus/seed{seed}.log",
    benchmark:
        BENCHMARKS + "/build_corpus/seed{seed}.tsv"
    params:
        settings=as_json(STUDY["corpus"]),
        code=code("build_corpus"),
    conda:
        "../envs/study.yaml"
    shell:
        "python scripts/build_corpus.py --facts {input.facts} --communities {input.communities}"
        " --settings {params.settings:q} --seed {wildcards.seed} --corpus {output.corpus} --exposure {output.exposure}"
        " 2> {log}"
