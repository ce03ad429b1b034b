"""Costs: the work behind a study's tables, and its sums."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import write_costs
from gradual.ground.errors import InputError
from gradual.study.config import load_config
from gradual.study.result_files import (
    ADAPTER,
    CATEGORIES,
    CHANCE,
    FACTS,
    JOBS,
    SELECTION,
    Result,
    benchmark,
    filled,
    path,
)
from gradual.study.runs import ORIGIN
from gradual.study.steps import STATE_KINDS
from gradual.tables import registry
from gradual.tables.reading import evaluated
from gradual.workflow import costs
from gradual.workflow.works import Work, works

ROOT = Path(__file__).resolve().parents[3]
TRAINING = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["training"]
RUNS = {
    "stage1": {"from": ORIGIN, "select": {ORIGIN: ["MaybeKnown"]}},
    "stage2": {"from": "stage1", "select": {"stage1": ["MaybeKnown"]}},
    "round3": {"from": "stage2", "select": {"stage2": ["MaybeKnown"]}},
    "again": {"from": "stage1", "select": {ORIGIN: ["MaybeKnown"]}},  # which selects by no probe of its parent
    "as_many": {"from": ORIGIN, "select": {ORIGIN: ["Unknown"]}, "size_of": "stage2"},
    "as_many_as_those": {"from": ORIGIN, "select": {ORIGIN: ["Unknown"]}, "size_of": "as_many"},
    "replaying": {
        "from": ORIGIN,
        "select": {ORIGIN: ["MaybeKnown"]},
        "replay": {"category": "HighlyKnown", "ratio": 0.2, "state": "stage1"},
    },
}

NEEDS = {
    "b": [Result(FACTS), Result(CATEGORIES), Result(CATEGORIES, ORIGIN, 1), *evaluated(ORIGIN), *evaluated("stage1")],
    "a": [Result(CHANCE), Result(SELECTION, "stage1"), Result(CATEGORIES, ORIGIN, 0, "test")],
}
LABELS = {"a": "Model | A", "b": "Model B"}


def config(seeds: tuple[int, ...] = (0,), **sources: str) -> dict[str, Any]:
    """What costs read of a config; models are from the hub unless told."""
    models = {model: {"source": sources.get(model, "hub")} for model in LABELS}
    rest = {"probe": {"shards": 2}, "training": TRAINING, "runs": RUNS, "choose_on": "dev"}
    return {"seeds": list(seeds), "models": models, **rest}


def described(needs: dict[str, list[Result]], study: dict[str, Any]) -> list[dict[str, Any]]:
    return [work.described() for work in works(needs, study) if work.seed == study["seeds"][0]]


def write(root: Path, work: Work, prompts: int, seconds: float | None) -> None:
    """The usage and benchmark files of some work; no benchmark where the seconds are None."""
    for file in work.usage():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        usage = {"prompts": prompts, "prompt_tokens": 10 * prompts, "answer_tokens": 100 * prompts}
        usage["computed_tokens"] = 1000 * prompts
        (root / file).write_text(json.dumps(usage | {"other": 1}))
    for file in work.benchmarks() if seconds is not None else ():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")


def test_works_are_the_probes_evaluations_and_trainings_of_every_seed():
    found = works(NEEDS, config((0, 1)))
    expected = {
        "b": [
            *((ORIGIN, work) for work in ("probe of train", "probe of train again", "evaluation")),
            *(("stage1", work) for work in ("training", "evaluation")),
        ],
        "a": [(ORIGIN, "probe of train"), (ORIGIN, "probe of test")],
    }
    assert [(w.model, w.seed, w.state, w.name) for w in found] == [
        (model, seed, *work) for model, works_ in expected.items() for seed in (0, 1) for work in works_
    ]
    again, training, test = found[1], found[3], found[-1]
    probe = {"state": ORIGIN, "shard": 1}
    assert again.usage()[1] == path("probe_usage", seed=0, model="b", questions="train", probe=1, **probe)
    assert test.benchmarks()[1] == benchmark("probe_facts", seed=1, model="a", questions="test", probe=0, **probe)
    assert len(again.usage()) == len(test.benchmarks()) == 2  # the shards
    assert training.usage() == []
    assert training.benchmarks() == [benchmark("train_adapter", seed=0, model="b", state="stage1")]


@pytest.mark.parametrize("seeds", [(0,), tuple(range(40))])
def test_described_works_have_the_same_length_for_any_number_of_seeds_and_shards(seeds):
    study = config(seeds) | {"probe": {"shards": 1000}}
    found = described(NEEDS, study)
    assert json.loads(json.dumps(found)) == found and len(json.dumps(found)) < 4000
    paths = {file for work in found for file in filled(work["benchmarks"], seeds, work["jobs"])}
    assert paths == {file for work in works(NEEDS, study) for file in work.benchmarks()}


def test_the_epochs_of_a_state_are_the_work_of_its_kinds_rule(monkeypatch):
    monkeypatch.setitem(STATE_KINDS, "edited", replace(STATE_KINDS["trained"], rule="edit_weights"))
    monkeypatch.setitem(JOBS, "edit_weights", JOBS["train_adapter"])
    monkeypatch.setitem(RUNS, "stage1", RUNS["stage1"] | {"kind": "edited"})
    trainings = {work.state: work for work in works({"a": evaluated("stage2")}, config()) if work.name == "training"}
    assert {state: work.rule for state, work in trainings.items()} == {
        "stage1": "edit_weights",
        "stage2": "train_adapter",
    }
    assert trainings["stage1"].benchmarks() == [benchmark("edit_weights", seed=0, model="a", state="stage1")]


def work_of(*needs: Result) -> list[tuple[str, str]]:
    """State and work of what the needs of a model that is not pretrained here stand on, by name."""
    return sorted((w["state"], w["work"]) for w in described({"a": list(needs)}, config()))


PROBED = [(ORIGIN, "probe of train")]
EVALUATED = [(ORIGIN, "evaluation")]  # with which that of a run from the origin is compared
STAGE1 = [("stage1", "evaluation"), ("stage1", "training")]
STAGE1_PROBED = [("stage1", "evaluation"), ("stage1", "probe of train"), ("stage1", "training")]
STAGE2 = [("stage2", "evaluation"), ("stage2", "training")]


def test_a_run_stands_on_its_parent_and_on_a_probe_of_it_that_no_table_shows():
    first = EVALUATED + PROBED
    assert work_of(*evaluated("stage1")) == first + STAGE1
    assert work_of(*evaluated("stage2")) == first + STAGE1_PROBED + STAGE2
    assert work_of(*evaluated("again")) == sorted(
        [("again", "evaluation"), ("again", "training"), *first, *STAGE1]
    )  # not on a probe of its parent, by which it does not select


def test_ancestors_count_to_the_origin():
    round3 = [("round3", "evaluation"), ("round3", "training")]
    probed = [("stage2", "evaluation"), ("stage2", "probe of train"), ("stage2", "training")]
    assert work_of(*evaluated("round3")) == EVALUATED + PROBED + round3 + STAGE1_PROBED + probed


@pytest.mark.parametrize("need", [Result(CATEGORIES, "stage1"), Result(CATEGORIES, "stage1", 0, "test")])
def test_a_state_that_is_probed_was_trained_and_evaluated(need):
    assert work_of(need) == sorted([*EVALUATED, *PROBED, *STAGE1, ("stage1", f"probe of {need.questions}")])
    assert work_of(Result(ADAPTER, "stage1")) == EVALUATED + PROBED + STAGE1


def test_a_selection_stands_on_the_probes_that_it_reads_but_not_on_training():
    assert work_of(Result(SELECTION, "stage1")) == PROBED
    assert work_of(Result(SELECTION, "stage2")) == EVALUATED + PROBED + STAGE1_PROBED


@pytest.mark.parametrize("run", ["as_many", "as_many_as_those"])
def test_the_size_of_another_selection_adds_its_probes_but_not_its_training(run):
    own = [(run, "evaluation"), (run, "training")]
    assert work_of(*evaluated(run)) == sorted([*own, *EVALUATED, *PROBED, *STAGE1_PROBED])


def test_what_is_replayed_was_probed():
    replaying = [("replaying", "evaluation"), ("replaying", "training")]
    assert work_of(*evaluated("replaying")) == EVALUATED + PROBED + replaying + STAGE1_PROBED


def test_what_several_needs_stand_on_counts_once():
    needs = [*evaluated("stage2"), *evaluated("stage1"), *evaluated("stage2")]
    needs += [Result(CATEGORIES), Result(CATEGORIES, "stage1")]
    assert work_of(*needs) == EVALUATED + PROBED + STAGE1_PROBED + STAGE2


def test_the_pretraining_counts_of_models_that_are_pretrained_here():
    found = works(NEEDS, config((0, 1), a="pretrain", b="folder"))
    pretraining = [work for work in found if work.name == "pretraining"]
    assert [(work.model, work.state, work.seed, work.usage()) for work in pretraining] == [
        ("a", "base", seed, []) for seed in (0, 1)
    ]
    benchmarks = [[benchmark("pretrain_base", seed=seed, model="a")] for seed in (0, 1)]
    assert [work.benchmarks() for work in pretraining] == benchmarks
    assert [work.state for work in found if (work.model, work.seed) == ("a", 0)] == ["base", ORIGIN, ORIGIN]
    assert not [work for work in described(NEEDS, config()) if work["state"] == "base"]


def test_of_table_7_alone_the_probes_behind_it_count():
    study = load_config({"tables": {"show": [7]}}, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")
    needs = registry.all_needs(["table_07"], study)
    assert CATEGORIES not in {need.kind for wanted in needs.values() for need in wanted}
    found = {(w["model"], w["state"]) for w in described(needs, study) if w["work"] == "probe of train"}
    assert found == {(model, state) for model in needs for state in (ORIGIN, "stage1")}


def table(root: Path, seeds: tuple[int, ...]) -> pd.DataFrame:
    """Costs of which seed 1 took twice what seed 0 took; the evaluation of the origin has no benchmark."""
    for work in works(NEEDS, config(seeds)):
        k = 1 + work.seed
        write(root, work, 3 * k, None if (work.state, work.name) == (ORIGIN, "evaluation") else 4.0 * k)
    return costs.table(described(NEEDS, config(seeds)), seeds, root, LABELS)


def test_the_table_sums_up_jobs_and_work(tmp_path):
    frame = table(tmp_path, (0,)).set_index(["model", "state", "work"])
    probe = frame.loc["b", ORIGIN, "probe of train"]
    assert (probe["jobs"], probe["prompts"], probe["prompt_tokens"], probe["seconds"]) == (2, 6, 60, 8)
    assert (probe["answer_tokens"], probe["computed_tokens"], probe["label"]) == (600, 6000, "Model B")
    training = frame.loc["b", "stage1", "training"]
    assert (training["jobs"], training["prompts"], training["seconds"]) == (1, 0, 4)
    whole = frame.loc["b", "all", ""]
    # Two probes of two shards, two evaluations, one training; one evaluation has no benchmark.
    assert (whole["jobs"], whole["prompts"]) == (7, 6 + 6 + 3 + 3)
    assert math.isnan(whole["seconds"])  # a sum without a part would be too low without saying so
    assert frame.loc["a", ORIGIN, "probe of test"]["seconds"] == 8
    assert frame.loc["a", "all", ""]["seconds"] == 8 + 8  # the probes of test and, for the selection, of train
    assert frame.loc["a", "all", ""]["prompts"] == 6 + 6


def test_the_sums_of_a_model_are_its_last_row(tmp_path):
    frame = table(tmp_path, (0,))
    assert list(frame["state"]) == [ORIGIN, ORIGIN, ORIGIN, "stage1", "stage1", "all", ORIGIN, ORIGIN, "all"]
    assert list(frame["model"]) == ["b"] * 6 + ["a"] * 3


def test_means_over_seeds(tmp_path):
    frame = table(tmp_path, (0, 1)).set_index(["model", "state", "work"])
    probe = frame.loc["b", ORIGIN, "probe of train"]
    assert (probe["jobs"], probe["prompts"], probe["seconds"]) == (2, 9, 12)
    assert frame.loc["b", "all", ""]["prompts"] == 27


def test_a_missing_benchmark_is_no_number(tmp_path):
    frame = table(tmp_path, (0,)).set_index(["model", "state", "work"])
    assert math.isnan(frame.loc["b", ORIGIN, "evaluation"]["seconds"])
    for file in (tmp_path / "benchmarks").rglob("*.tsv"):
        file.unlink()
    without = costs.table(described(NEEDS, config()), (0,), tmp_path, LABELS)
    assert without["seconds"].isna().all() and (without["jobs"] > 0).all()


def test_one_missing_shard_takes_the_seconds_of_the_probe(tmp_path):
    table(tmp_path, (0,))
    (tmp_path / benchmark("probe_facts", seed=0, model="b", state=ORIGIN, questions="train", probe=0, shard=1)).unlink()
    frame = costs.table(described(NEEDS, config()), (0,), tmp_path, LABELS).set_index(["model", "state", "work"])
    assert math.isnan(frame.loc["b", ORIGIN, "probe of train"]["seconds"])


@pytest.mark.parametrize("content", ["[]", '{"prompts": 3}'])
def test_usage_that_cannot_be_used_names_its_file(tmp_path, content):
    table(tmp_path, (0,))
    file = path("evaluation_usage", seed=0, model="b", state="stage1")
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=rf"{file}.*answer_tokens"):
        costs.table(described(NEEDS, config()), (0,), tmp_path, LABELS)


def test_the_markdown_has_all_cells(tmp_path):
    text = costs.render(table(tmp_path, (0, 1)), 2)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * 2 + 9 and {row.count("|") for row in rows} == {8}
    assert text.index("\nModel Model | A:\n") > text.index("\nModel Model B:\n")  # in the order of the frame
    assert "nan" not in text and "The numbers are means over 2 seeds." in text
    assert "The numbers are from 1 seed." in costs.render(table(tmp_path, (0,)), 1)
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert ["stage1", "training", "", "", "", "", "6"] in cells
    assert [ORIGIN, "evaluation", "4", "45", "450", "4,500", "–"] in cells


def test_the_script_writes_both_files(tmp_path):
    frame = table(tmp_path, (0,))
    found = described(NEEDS, config())
    arguments = [
        "--works",
        json.dumps(found),
        "--seeds",
        "0",
        "--results",
        str(tmp_path),
        "--labels",
        json.dumps(LABELS),
    ]
    write_costs.main([*arguments, "--csv", str(tmp_path / "costs.csv"), "--markdown", str(tmp_path / "costs.md")])
    assert list(pd.read_csv(tmp_path / "costs.csv")["prompts"]) == list(frame["prompts"])
    assert (tmp_path / "costs.md").read_text() == costs.render(frame, 1)
