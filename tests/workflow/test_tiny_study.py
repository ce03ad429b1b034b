"""The tiny study, end to end: what must hold of any study's results."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from gradual.knowledge import FULL, GREEDY_ONLY
from project_copy import snakemake_in

RESULTS = "results/tiny"
MODEL = f"{RESULTS}/seed0/small"
TINY = ("--configfile", "tests/workflow/tiny.yaml")


@pytest.fixture(scope="module")
def facts(finished):
    return pd.read_parquet(finished / RESULTS / "seed0/facts.parquet").set_index("fact_id")


def categories(finished, state, probe=0):
    table = pd.read_parquet(finished / MODEL / state / f"probe-{probe}" / "categories.parquet")
    return table.set_index("fact_id")["category"]


@pytest.mark.parametrize(("state", "probe"), [("origin", 0), ("origin", 1), ("stage1", 0), ("strategy5", 0)])
def test_every_probe_sorts_exactly_the_train_facts(finished, facts, state, probe):
    assert set(categories(finished, state, probe).index) == set(facts.index[facts["split"] == "train"])


def test_the_origin_is_sorted_into_four_categories_and_a_trained_state_into_three(finished):
    origin, trained = set(categories(finished, "origin")), set(categories(finished, "stage1"))
    assert {"HighlyKnown", "WeaklyKnown", "Unknown"} <= origin <= {*FULL}
    assert {"HighlyKnown", "WeaklyKnown & Unknown"} <= trained <= {*GREEDY_ONLY}


def test_each_prompt_has_one_greedy_answer_and_unsolved_facts_all_samples(finished, facts):
    shards = sorted((finished / MODEL / "origin/probe-0").glob("generations-*.parquet"))
    assert len(shards) == 2
    said = pd.concat(map(pd.read_parquet, shards))
    greedy = said[said["kind"] == "greedy"]
    train = facts.index[facts["split"] == "train"]
    assert sorted(map(tuple, greedy[["fact_id", "prompt_index"]].values)) == sorted(
        (f, p) for f in train for p in range(8)
    )
    gold = greedy["fact_id"].map(facts["answers"].str[0])
    solved = set(greedy["fact_id"][greedy["text"] == gold])
    samples = said[said["kind"] == "sampled"].groupby(["fact_id", "prompt_index"])["count"].sum()
    assert set(samples) == {4}
    assert set(samples.index.get_level_values(0)) == set(train) - solved


def test_training_uses_the_selected_train_facts_only_and_replays_the_others(finished, facts):
    origin, stage1 = categories(finished, "origin"), categories(finished, "stage1")
    one = pd.read_parquet(finished / MODEL / "stage1/selection.parquet")
    assert set(one["fact_id"]) == set(origin.index[origin.isin(["MaybeKnown", "WeaklyKnown"])])
    two = pd.read_parquet(finished / MODEL / "strategy5/selection.parquet").set_index("fact_id")["role"]
    known = stage1.isin(["HighlyKnown", "MaybeKnown"])
    assert set(two.index[two == "train"]) == set(stage1.index[known & (origin.reindex(stage1.index) != "Unknown")])
    assert set(two.index[two == "replay"]) == set(stage1.index[~known])
    assert set(facts.loc[[*one["fact_id"], *two.index], "split"]) == {"train"}


def test_an_epoch_replays_a_fifth_of_the_pool(finished):
    role = pd.read_parquet(finished / MODEL / "strategy5/selection.parquet")["role"].value_counts()
    expected = role["train"] + round(0.2 * role["replay"])
    loss = pd.read_csv(finished / MODEL / "strategy5/loss.csv")
    assert len(loss) == 2 * -(-expected // 32)


def test_the_margins_of_the_transitions_are_the_counts(finished):
    counts = pd.read_csv(finished / RESULTS / "tables/table_02.csv")
    origin, stage1 = categories(finished, "origin"), categories(finished, "stage1")
    n = len(origin)
    assert counts["n"].unique().tolist() == [n]
    by_category = dict(zip(counts["type"], counts["count"], strict=True))
    assert {k: v for k, v in by_category.items() if v} == origin.value_counts().to_dict()
    transitions = pd.read_csv(finished / RESULTS / "tables/table_03.csv")
    assert transitions.groupby("origin_type")["count"].sum().to_dict() == by_category
    assert transitions.groupby("new_type")["count"].sum().to_dict() == stage1.value_counts().to_dict()


def test_test_accuracy_is_that_of_the_chosen_epoch(finished):
    table = pd.read_csv(finished / RESULTS / "tables/table_07.csv").set_index("stage")
    for stage, state in (("One-Stage", "stage1"), ("Two-Stage", "strategy5")):
        accuracy = pd.read_csv(finished / MODEL / state / "evaluation/accuracy.csv")
        chosen = json.loads((finished / MODEL / state / "adapter/chosen.json").read_text())
        dev, test = (accuracy[accuracy["split"] == split].set_index("epoch")["accuracy"] for split in ("dev", "test"))
        assert chosen == {"epoch": int(dev.idxmax()), "chosen_on": "dev"}
        assert table.loc[stage, "percent"] == pytest.approx(100 * test[chosen["epoch"]])


def test_provenance_names_config_data_models_packages_and_times(finished):
    provenance = json.loads((finished / RESULTS / "provenance.json").read_text())
    assert provenance["config"]["study"] == "tiny"
    assert len(provenance["data_sha256"][f"{RESULTS}/seed0/facts.parquet"]) == 64
    assert provenance["base_models"][f"{MODEL}/base/base.json"]["model.safetensors"]
    assert provenance["packages"]["torch"]
    assert {job["rule"] for job in provenance["jobs"]} >= {"pretrain_base", "probe_facts", "evaluate_epochs"}


def planned(folder):
    """The rules that would run and the whole text of the dry run."""
    done = snakemake_in(folder)("--cores", "2", "-n", *TINY)
    assert done.returncode == 0, done.stdout[-3000:]
    return set(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE)) - {"all"}, done.stdout


def test_a_finished_study_has_nothing_to_do(finished):
    assert planned(finished)[0] == set()


def test_a_comment_changes_nothing_and_a_scoring_rule_the_grades_and_what_follows(finished):
    module = finished / "scripts/gradual/grading.py"
    text = module.read_text()
    module.write_text("# A remark.\n" + text.replace("import re", "import re  # regular expressions", 1))
    try:
        assert planned(finished)[0] == set()
        module.write_text(text.replace(".casefold() in output", ".lower() in output"))
        changed, plan = planned(finished)
    finally:
        module.write_text(text)
    assert "grade_generations" in changed
    assert not changed & {"pretrain_base", "build_facts", "build_corpus"}
    assert not re.search(r"output: \S*/origin/\S*/generations", plan)  # the origin's answers are as they were


def test_a_killed_run_continues_to_the_same_tables_and_does_nothing_twice(finished, tmp_path):
    """Everything after the origin's probe is removed, and the run is killed while it trains, then started again."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    for state in ("stage1", "strategy5"):
        shutil.rmtree(folder / MODEL / state)
    for path in (folder / RESULTS / "tables", folder / RESULTS / "tables.md"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    probe = folder / MODEL / "origin/probe-0/generations-0.parquet"
    before = probe.stat().st_mtime
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *TINY]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    log = (tmp_path / "killed.log").open("w")
    run = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list((folder / MODEL).glob("*/epochs/checkpoints-*")):
        assert time.monotonic() < deadline, (tmp_path / "killed.log").read_text()[-3000:]
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    again = snakemake_in(folder)("--cores", "2", *TINY)
    assert again.returncode == 0, again.stdout[-3000:]
    assert probe.stat().st_mtime == before
    assert not list((folder / MODEL).glob("*/epochs/checkpoints-*"))
    assert (folder / RESULTS / "tables.md").read_bytes() == (finished / RESULTS / "tables.md").read_bytes()


def test_two_runs_of_a_study_at_once_are_refused(finished):
    with (finished / RESULTS / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (finished / RESULTS / "tables.md").rename(finished / "tables.md")
        done = snakemake_in(finished)("--cores", "1", *TINY)
        (finished / "tables.md").rename(finished / RESULTS / "tables.md")
    assert done.returncode != 0
    assert "another Snakemake is at work on results/tiny" in done.stdout
