"""When a job fails: what goes on, what is said, and what is left."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from project_copy import copy_project, snakemake_in

TINY = ("--cores", "2", "--configfile", "tests/workflow/tiny.yaml")
MODEL = "results/tiny/seed0/small"


@pytest.fixture
def broken(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study in which something may be broken."""
    folder = copy_project(tmp_path / "project")
    for part in ("results", ".snakemake/metadata"):
        shutil.copytree(finished / part, folder / part)
    return folder


def run(folder: Path, *words: str) -> str:
    """A run that must fail; its output."""
    done = snakemake_in(folder)(*TINY, *words)
    assert done.returncode != 0, done.stdout[-3000:]
    return done.stdout


def test_a_corrupt_shard_fails_its_own_jobs_and_the_others_go_on(broken):
    (broken / MODEL / "origin/train-probe-1/generations-0.parquet").write_bytes(b"PAR1 and no more")
    (broken / MODEL / "random/evaluation/grades.parquet").unlink()  # three jobs, one after the other, hang on it
    said = run(broken)
    log = "results/tiny/logs/grade_generations/small-seed0-origin-train-1.log"
    assert f"grade_generations failed; its log is {log}" in said
    assert "generations-0.parquet: cannot be read" in (broken / log).read_text().splitlines()[-1]
    assert (broken / MODEL / "random/evaluation/grades.parquet").exists()
    assert re.search(r"Finished jobid: \d+ \(Rule: write_table\)", said.partition("Error in rule")[2])  # --keep-going
    assert not list((broken / MODEL / "origin/train-probe-1").glob(".*"))


def test_an_impossible_selection_names_the_run_and_what_there_is(broken):
    (broken / "impossible.yaml").write_text("runs: {nobody: {from: stage1, select: {stage1: [HighlyKnown]}}}\n")
    categories = broken / MODEL / "stage1/train-probe-0/categories.parquet"
    table = pd.read_parquet(categories)
    table["category"] = table["category"].replace("HighlyKnown", "MaybeKnown")
    table.to_parquet(categories, index=False)
    said = run(broken, "impossible.yaml", "--until", "select_facts", "--", f"{MODEL}/nobody/selection.parquet")
    assert "run nobody, key 'select': no fact is selected" in said
    assert "'MaybeKnown':" in said  # what there is
    assert not (broken / MODEL / "nobody/selection.parquet").exists()


def test_a_job_that_is_killed_says_so_in_its_log(broken):
    script = broken / "scripts/categorize_facts.py"
    script.write_text("import os\n\nos.kill(os.getpid(), 9)\n")
    said = run(broken)
    log = "results/tiny/logs/categorize_facts/small-seed0-origin-train-0.log"
    assert f"categorize_facts failed; its log is {log}" in said
    assert (broken / log).read_text().splitlines()[-1].startswith("error: ended by signal 9")


def test_a_defect_is_told_with_its_traceback_cause_and_remedy(broken):
    script = broken / "scripts/choose_epoch.py"
    script.write_text(script.read_text().replace("    args = parser.parse_args(argv)", "    args = 1 / 0"))
    said = run(broken)
    assert "choose_epoch failed" in said
    last = (broken / "results/tiny/logs/choose_epoch/small-seed0-stage1.log").read_text().splitlines()
    assert last[0].startswith("Traceback")
    assert last[-2] == "error: ZeroDivisionError: division by zero"
    assert last[-1].startswith("remedy: ")


def test_a_truncated_adapter_is_named_by_the_job_that_reads_it(broken):
    weights = broken / MODEL / "stage1/adapter/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    said = run(broken)
    assert "adapter_model.safetensors: is not as it was when it was trained" in said
    assert "jobs that do not depend on failed ones have run." in said


def test_a_job_holds_its_lock_while_it_works(broken):
    (broken / "scripts/collect_tables.py").write_text(
        "import fcntl, pathlib\n"
        "try:\n"
        "    fcntl.flock(open('results/tiny/.jobs', 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "    said = 'free'\n"
        "except OSError:\n"
        "    said = 'held'\n"
        "pathlib.Path('results/tiny/tables.md').write_text(said)\n"
    )
    done = snakemake_in(broken)("results/tiny/tables.md", *TINY)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (broken / "results/tiny/tables.md").read_text() == "held"
