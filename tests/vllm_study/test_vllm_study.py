"""The tiny study with vLLM as its engine, in the environment of `make setup-probe`, against the same with transformers.

Both share what no engine touches: facts, corpus and base model.
"""

import json
from pathlib import Path

import pandas as pd
import pytest

from project_copy import ROOT, copy_project, snakemake_in

PROBE = ROOT / ".venv-probe"
MODEL = "results/tiny/seed0/small"
ORIGIN = f"{MODEL}/origin/train-probe-0"
GROUPS, SAMPLES = f"{MODEL}/origin/groups-0/generations.parquet", f"{MODEL}/revised/samples.parquet"
WRITTEN = "results/augmented/seed0/small/written/augmented.parquet"
STUDY = ("--cores", "2", "--configfile", "tests/workflow/tiny.yaml", str(Path(__file__).with_name("vllm.yaml")))

pytestmark = pytest.mark.skipif(not (PROBE / "ready").is_file(), reason="no .venv-probe: make test-vllm")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A copy of the project in which the study has run with vLLM, and what the origin answered to transformers before."""
    folder = copy_project(tmp_path_factory.mktemp("vllm") / "project")
    (folder / ".venv-probe").symlink_to(PROBE)
    snakemake = snakemake_in(folder)
    done = snakemake(*STUDY, "--config", 'probe={"engine": "transformers"}', "--", f"{ORIGIN}/categories.parquet")
    assert done.returncode == 0, done.stdout[-6000:]
    before = {name: pd.read_parquet(folder / ORIGIN / f"{name}.parquet") for name in ("generations-0", "categories")}
    made = (folder / MODEL / "base/base.json").stat().st_mtime_ns
    done = snakemake(*STUDY)
    assert done.returncode == 0, done.stdout[-6000:]
    assert (folder / MODEL / "base/base.json").stat().st_mtime_ns == made
    return folder, before


def test_the_study_has_all_its_tables(both):
    folder, _ = both
    assert sorted(path.name for path in (folder / "results/tiny/tables").glob("*.csv")) == [
        "table_02.csv", "table_03.csv", "table_07.csv"
    ]  # fmt: skip
    provenance = json.loads((folder / "results/tiny/provenance.json").read_text())
    assert provenance["config"]["probe"]["engine"] == "vllm"


def test_greedy_answers_are_those_of_transformers(both):
    """In fp32, but for a tie that rounding decides; a fact's category hangs on one answer."""
    folder, before = both
    keys = ["fact_id", "prompt_index"]
    one, other = before["generations-0"], pd.read_parquet(folder / ORIGIN / "generations-0.parquet")
    one, other = (said[said["kind"] == "greedy"].set_index(keys)["text"] for said in (one, other))
    assert sorted(one.index) == sorted(other.index)
    assert (one == other.reindex(one.index)).mean() > 0.999


def test_categories_that_greedy_answers_decide_are_those_of_transformers(both):
    folder, before = both
    decided = ["HighlyKnown", "MaybeKnown"]
    one = before["categories"].set_index("fact_id")["category"]
    other = pd.read_parquet(folder / ORIGIN / "categories.parquet").set_index("fact_id")["category"].reindex(one.index)
    assert one.isin(decided).any()
    greedy = (one.where(one.isin(decided), "other") == other.where(other.isin(decided), "other")).mean()
    assert greedy > 0.99
    assert (one == other).mean() > 0.8  # the others hang on samples, which differ


def test_every_adapter_was_in_force(both):
    folder, _ = both
    origin = pd.read_parquet(folder / MODEL / "origin/evaluation/generations.parquet")["text"].tolist()
    stage1 = pd.read_parquet(folder / MODEL / "stage1/evaluation/generations.parquet")
    for _, epoch in stage1.groupby("epoch"):
        assert epoch["text"].tolist() != origin


def test_groups_are_asked_and_a_parent_is_sampled(both):
    """The answers about the groups are those of transformers, but for a tie that rounding decides."""
    folder, _ = both
    snakemake, words = snakemake_in(folder), (*STUDY, str(Path(__file__).with_name("groups.yaml")))
    done = snakemake(*words, "--config", 'probe={"engine": "transformers"}', "--", GROUPS)
    assert done.returncode == 0, done.stdout[-6000:]
    keys = ["fact_id", "wording"]
    before = pd.read_parquet(folder / GROUPS).set_index(keys)["text"]
    done = snakemake(*words, "--", GROUPS, SAMPLES)
    assert done.returncode == 0, done.stdout[-6000:]
    after = pd.read_parquet(folder / GROUPS).set_index(keys)["text"]
    assert len(after) == 2 * 50 and {wording for _, wording in after.index} == {0, 3}
    assert sorted(after.index) == sorted(before.index) and (after == before.reindex(after.index)).mean() > 0.98
    samples = pd.read_parquet(folder / SAMPLES)
    drawn = samples[samples["kind"] != "target"].groupby("fact_id")["count"].sum()
    assert len(drawn) == 30 and set(drawn) == {4} and samples["log_probability"].le(0).all()


def test_the_model_writes_questions_as_with_transformers(both):
    """It passes no gate, as it was not taught to write; so templates write, and its own attempts are counted."""
    folder, _ = both
    snakemake, words = (
        snakemake_in(folder),
        ("--cores", "2", "--configfile", str(Path(__file__).with_name("augmented.yaml"))),
    )
    found = {}
    for engine in ("transformers", "vllm"):
        done = snakemake(*words, "--config", f'probe={{"engine": "{engine}"}}', "--", WRITTEN)
        assert done.returncode == 0, done.stdout[-6000:]
        usage = json.loads((folder / WRITTEN).with_name("augmented-usage.json").read_text())
        found[engine] = pd.read_csv((folder / WRITTEN).with_suffix(".csv")).assign(prompts=usage["prompts"])
        (folder / WRITTEN).unlink()
    one, other = found["transformers"], found["vllm"]
    assert set(other["made_by"]) == {"templates"} and other["gate_facts"].gt(0).all()
    assert one["prompts"].equals(other["prompts"])
    assert (one["gate_parsed"] - other["gate_parsed"]).abs().max() < 0.05
    assert (one["gate_subject_kept"] - other["gate_subject_kept"]).abs().max() < 0.05
