"""Where results come from: the time that jobs took, and what the script writes down."""

import hashlib
import json
from importlib import metadata
from pathlib import Path

import write_provenance
from gradual.workflow.provenance import locks, packages, timings

HEADER = "s\th:m:s\tmax_rss\n"


def benchmark(root: Path, path: str, *runs: tuple[float, object]) -> str:
    """Snakemake's benchmark file of a job that ran so often, with seconds and peak memory; its path below root."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(HEADER + "".join(f"{seconds}\t0:00:00\t{memory}\n" for seconds, memory in runs))
    return path


def test_timings_are_summed_by_rule_over_the_last_run_of_each_job(tmp_path):
    benchmark(tmp_path, "benchmarks/train_adapter/m-seed0-stage1.tsv", (99, 999), (3.04, 70))
    benchmark(tmp_path, "benchmarks/train_adapter/m-seed1-stage1.tsv", (4, 80))
    benchmark(tmp_path, "benchmarks/build_facts/seed0.tsv", (1, "-"), (2, 10))
    assert timings(tmp_path / "benchmarks", set()) == [
        {"rule": "build_facts", "jobs": 1, "seconds": 2.0, "max_rss_mib": 10.0},
        {"rule": "train_adapter", "jobs": 2, "seconds": 7.0, "max_rss_mib": 80.0},
    ]


def test_benchmarks_of_runs_that_the_study_no_longer_has_do_not_count(tmp_path):
    kept = benchmark(tmp_path, "benchmarks/train_adapter/m-seed0-stage1.tsv", (3, 70))
    benchmark(tmp_path, "benchmarks/train_adapter/m-seed0-removed.tsv", (50, 500))
    benchmark(tmp_path, "benchmarks/train_adapter/m-seed7-stage1.tsv", (50, 500))
    benchmark(tmp_path, "benchmarks/select_facts/m-seed0-stage1.tsv", (1, 20))  # of a rule that is not in `counted`
    benchmark(tmp_path, "benchmarks/build_facts/seed7.tsv", (50, 500))  # of a seed that is not there any more
    found = timings(tmp_path / "benchmarks", {kept, "benchmarks/train_adapter/not-measured.tsv"})
    assert found == [
        {"rule": "select_facts", "jobs": 1, "seconds": 1.0, "max_rss_mib": 20.0},
        {"rule": "train_adapter", "jobs": 1, "seconds": 3.0, "max_rss_mib": 70.0},
    ]


def test_without_benchmarks_there_are_no_timings(tmp_path):
    assert timings(tmp_path / "benchmarks", set()) == []
    benchmark(tmp_path, "benchmarks/train_adapter/m-seed0-removed.tsv", (50, 500))
    assert timings(tmp_path / "benchmarks", {"benchmarks/train_adapter/m-seed0-stage1.tsv"}) == []


def test_the_script_writes_config_code_digests_and_the_jobs_of_the_study(tmp_path):
    facts, base = tmp_path / "facts.parquet", tmp_path / "base.json"
    facts.write_bytes(b"facts")
    card = {"tensors": {"Q4_1": 2}, "note": "quantised"}
    base.write_text(json.dumps({"source": "package a==1", "card": card, "path": "x", "sha256": "abc"}))
    kept = benchmark(tmp_path, "benchmarks/probe_facts/m-seed0.tsv", (5, 60))
    benchmark(tmp_path, "benchmarks/probe_facts/m-seed1.tsv", (50, 600))
    config, codes = {"study": "s", "seeds": [0]}, {"probe_facts": "123"}
    assert kept == "benchmarks/probe_facts/m-seed0.tsv"
    benchmarked = [("benchmarks/probe_facts/m-seed{seed}.tsv", 1)]
    output, agreement = tmp_path / "provenance.json", tmp_path / "agreement.json"
    agreement.write_text(json.dumps({"answers": 200, "equal_answers": 199}))
    arguments = ["--config", json.dumps(config), "--codes", json.dumps(codes), "--benchmarked"]
    arguments += [json.dumps(benchmarked)]
    arguments += [
        "--facts",
        facts,
        "--bases",
        base,
        "--agreements",
        agreement,
        "--benchmarks",
        tmp_path / "benchmarks",
        "--output",
        output,
    ]
    write_provenance.main([str(argument) for argument in arguments])
    found = json.loads(output.read_text())
    assert found["config"] == config and found["code"] == codes
    assert found["data_sha256"] == {str(facts): hashlib.sha256(b"facts").hexdigest()}
    assert found["agreement"] == {str(agreement): {"answers": 200, "equal_answers": 199}}
    assert found["base_models"] == {str(base): "abc"}
    assert found["base_model_sources"] == {str(base): {"source": "package a==1", "card": card}}
    assert found["jobs"] == [{"rule": "probe_facts", "jobs": 1, "seconds": 5.0, "max_rss_mib": 60.0}]
    assert {"python", "torch", "pandas"} <= set(found["packages"]) and found["hardware"]["cores"] >= 1
    assert {"controller.lock", "train.lock"} <= set(found["locks"])


def test_where_jobs_with_a_model_have_an_environment_of_their_own_their_packages_are_told_by_its_lock(
    tmp_path, monkeypatch
):
    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    found = packages()
    assert found["torch"] is None and found["pandas"] == "1.0"
    (tmp_path / "train.lock").write_bytes(b"torch==2.13.0\n")
    (tmp_path / "train.yaml").write_bytes(b"")
    assert locks(tmp_path) == {"train.lock": hashlib.sha256(b"torch==2.13.0\n").hexdigest()}
