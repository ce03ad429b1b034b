"""The paper's study with stand-ins for its models and fewer facts: EntityQuestions, vLLM, four ranks, a real SLURM."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import runs
from cluster import GPUS
from project_copy import ROOT, copy_project

PROBE_ENVIRONMENT = ROOT / ".venv-probe"
RESULTS = "results/paper_standin"
MODEL = f"{RESULTS}/seed0/qwen2_7b"
STUDY = (
    *("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2"),
    *("--configfile", "standin.yaml"),
    *("--set-threads", "probe_facts=1", "check_probe=1", "evaluate_epochs=1", "train_adapter=4"),
)
TRAIN_FACTS = 500


def standin() -> dict[str, Any]:
    """The paper's config with what the stand-in has: its sections in the place of the paper's, or of keys within two."""
    paper, other = (
        yaml.safe_load(path.read_text())
        for path in (ROOT / "studies/paper.yaml", Path(__file__).with_name("standin.yaml"))
    )
    return paper | other | {section: paper[section] | other[section] for section in ("probe", "tables")}


@pytest.fixture(scope="module")
def finished(cluster, real_data, tmp_path_factory):
    """A copy of the project in which the stand-in has run, and SLURM's jobs."""
    if not PROBE_ENVIRONMENT.exists():
        pytest.skip("no .venv-probe: make setup-probe PROBE_LOCK=envs/probe-cpu.lock")
    folder = copy_project(tmp_path_factory.mktemp("paper") / "project")
    (folder / "standin.yaml").write_text(yaml.safe_dump(standin()))
    (folder / ".venv-probe").symlink_to(PROBE_ENVIRONMENT)
    (folder / "data").mkdir()
    (folder / "data/entity_questions").symlink_to(real_data("entity_questions"))
    with runs.watched(cluster) as jobs:
        log = folder.parent / "log"
        runs.finish(runs.start(folder, log, *STUDY, cluster=cluster), log, seconds=3600)
    if kept := os.environ.get("GRADUAL_KEEP"):
        copy_results(folder / RESULTS, Path(kept))
    return folder, list(jobs.values())


def copy_results(results: Path, target: Path) -> None:
    """Keep a run's tables and costs."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("tables.md", "costs.md", "costs.csv", "provenance.json"):
        (target / name).write_bytes((results / name).read_bytes())


def test_its_config_is_the_papers_but_for_models_facts_and_their_tables(finished):
    folder, _ = finished
    config = json.loads((folder / RESULTS / "provenance.json").read_text())["config"]
    assert config["probe"]["engine"] == "vllm"
    assert (config["probe"]["prompts"], config["probe"]["samples"]) == (10, 16)
    assert (config["training"]["epochs"], config["training"]["batch"], config["training"]["rank"]) == (10, 32, 64)
    assert config["choose_on"] == "test"


def test_training_had_four_gpus_and_every_other_job_one(finished):
    _, jobs = finished
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.asked for job in jobs if job.rule == "train_adapter"} == {GPUS}
    assert {job.asked for job in jobs if job.rule != "train_adapter"} == {1}


def test_every_fact_has_a_category_and_the_tables_count_them(finished):
    folder, _ = finished
    for state, probe in (("origin", 0), ("origin", 1), ("stage1", 0), ("strategy5", 0)):
        table = pd.read_parquet(folder / MODEL / state / f"train-probe-{probe}/categories.parquet")
        assert len(table) == TRAIN_FACTS
    counts = pd.read_csv(folder / RESULTS / "tables/table_02.csv")
    assert counts["count"].sum() == TRAIN_FACTS


def test_ten_and_six_epochs_were_trained_and_evaluated(finished):
    folder, _ = finished
    for run, epochs in (("stage1", 10), ("strategy5", 6)):
        accuracy = pd.read_csv(folder / MODEL / run / "evaluation/accuracy.csv")
        assert sorted(accuracy["epoch"].unique()) == list(range(1, epochs + 1))
