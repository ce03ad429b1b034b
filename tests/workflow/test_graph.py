"""The job graphs of all studies, without running them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from project_copy import ROOT, snakemake_in

STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))


def jobs(output: str) -> dict[str, int]:
    """The counts by rule of a dry run's job statistics."""
    table = output.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}


@pytest.fixture(scope="module")
def planned(project):
    def plan(*words: str) -> dict[str, int]:
        done = snakemake_in(project)("--cores", "2", "-n", *words)
        assert done.returncode == 0, done.stdout[-3000:]
        return jobs(done.stdout)

    return plan


def test_the_default_study_probes_trains_and_evaluates_each_model(planned):
    graph = planned()
    assert graph["pretrain_base"] == graph["train_adapter_stage1"] == graph["train_adapter_strategy5"] == 2
    assert graph["probe_facts"] == 2 * 4  # origin, its retest, both runs
    assert graph["evaluate_epochs"] == 2 * 3
    assert graph["write_table"] == 5


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_a_job_graph(study, planned):
    graph = planned("--configfile", f"studies/{study}.yaml")
    assert graph["collect_tables"] == 1


def test_the_papers_study_fetches_both_models_and_shards_its_probes(planned):
    graph = planned("--configfile", "studies/paper.yaml")
    assert graph["fetch_base"] == 2
    assert "pretrain_base" not in graph
    assert graph["probe_facts"] == 2 * 4 * 32
    assert graph["train_adapter_stage1"] == graph["train_adapter_strategy5"] == 2


def test_a_strategy_is_one_line_of_config(planned, project):
    (project / "more.yaml").write_text(
        "study: more\n"
        "runs:\n"
        "  stage1: {from: origin, select: {origin: [MaybeKnown]}}\n"
        "  strategy5: {from: stage1, select: {stage1: [MaybeKnown]}, replay: {category: HighlyKnown, ratio: 0.2}}\n"
        "  round3: {from: strategy5, select: {strategy5: [MaybeKnown]}, epochs: 1}\n"
        "tables: {two_stage: round3}\n"
    )
    graph = planned("--configfile", "more.yaml")
    assert graph["train_adapter_round3"] == 2


def test_a_bad_config_is_refused_before_anything_runs(project):
    done = snakemake_in(project)("--cores", "1", "-n", "--config", "scorring=exact")
    assert done.returncode != 0
    assert "scorring" in done.stdout
    assert "scoring" in done.stdout.replace("scorring", "")


def test_lint_finds_nothing(project):
    done = snakemake_in(project)("--lint")
    assert done.returncode == 0, done.stdout


def test_everything_lints_and_is_formatted():
    for words in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", "Snakefile", "rules"],
    ):
        tool = shutil.which(words[0]) or str(Path(shutil.sys.executable).parent / words[0])
        done = subprocess.run([tool, *words[1:]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
