"""Costs: the work behind a study's tables, and its sums."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import write_costs
from gradual import costs, layout
from gradual.errors import InputError
from gradual.tables.results import evaluated
from gradual.tables.spec import CATEGORIES, CHANCE, FACTS, ORIGIN, SELECTION, Need

NEEDS = {
    "b": [Need(FACTS), Need(CATEGORIES), Need(CATEGORIES, ORIGIN, 1), *evaluated(ORIGIN), *evaluated("stage1")],
    "a": [Need(CHANCE), Need(SELECTION, "stage1"), Need(CATEGORIES, ORIGIN, 0, "test")],
}
LABELS = {"a": "Model A", "b": "Model B"}


def write(root: Path, work: dict[str, Any], prompts: list[int], seconds: list[float | None]) -> None:
    """The usage and benchmark files of some work; no benchmark where the seconds are None."""
    for path, n in zip(work["usage"], prompts, strict=True):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        usage = {"prompts": n, "prompt_tokens": 10 * n, "answer_tokens": 100 * n, "computed_tokens": 1000 * n}
        (root / path).write_text(json.dumps(usage | {"other": 1}))
    for path, s in zip(work["benchmarks"], seconds, strict=True):
        if s is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"s\th:m:s\n{s}\t0:00:00\n")


def test_works_are_the_probes_evaluations_and_trainings_of_every_seed():
    found = costs.works(NEEDS, [0, 1], 2)
    assert [(w["model"], w["state"], w["work"], w["seed"]) for w in found] == [
        ("b", ORIGIN, "probe of train", 0),
        ("b", ORIGIN, "probe of train", 1),
        ("b", ORIGIN, "probe of train again", 0),
        ("b", ORIGIN, "probe of train again", 1),
        ("b", ORIGIN, "evaluation", 0),
        ("b", ORIGIN, "evaluation", 1),
        ("b", "stage1", "training", 0),
        ("b", "stage1", "evaluation", 0),
        ("b", "stage1", "training", 1),
        ("b", "stage1", "evaluation", 1),
        ("a", ORIGIN, "probe of test", 0),
        ("a", ORIGIN, "probe of test", 1),
    ]
    again, test = found[2], found[-1]
    assert again["usage"] == [layout.probe_usage(0, "b", ORIGIN, "train", 1, shard) for shard in (0, 1)]
    assert test["benchmarks"] == [layout.probe_benchmark(1, "a", ORIGIN, "test", 0, shard) for shard in (0, 1)]
    training = found[6]
    assert training["usage"] == [] and training["benchmarks"] == [layout.training_benchmark(0, "b", "stage1")]
    assert json.loads(json.dumps(found)) == found


def table(root: Path, seeds: list[int]) -> pd.DataFrame:
    """Costs of which seed 1 took twice what seed 0 took; the evaluation of the origin has no benchmark."""
    for work in (found := costs.works(NEEDS, seeds, 2)):
        k = 1 + work["seed"]
        shards = len(work["benchmarks"])
        seconds: list[float | None] = [4.0 * k] * shards
        if (work["state"], work["work"]) == (ORIGIN, "evaluation"):
            seconds = [None]
        write(root, work, [3 * k] * len(work["usage"]), seconds)
    return costs.table(found, root, LABELS)


def test_the_table_sums_up_jobs_and_work(tmp_path):
    frame = table(tmp_path, [0]).set_index(["model", "state", "work"])
    probe = frame.loc["b", ORIGIN, "probe of train"]
    assert (probe["jobs"], probe["prompts"], probe["prompt_tokens"], probe["seconds"]) == (2, 6, 60, 8)
    assert (probe["answer_tokens"], probe["computed_tokens"], probe["label"]) == (600, 6000, "Model B")
    training = frame.loc["b", "stage1", "training"]
    assert (training["jobs"], training["prompts"], training["seconds"]) == (1, 0, 4)
    whole = frame.loc["b", "all", ""]
    # Two probes of two shards, two evaluations, one training; one evaluation has no benchmark.
    assert (whole["jobs"], whole["prompts"]) == (7, 6 + 6 + 3 + 3)
    assert math.isnan(whole["seconds"])  # a sum without a part would be too low without saying so
    assert frame.loc["a", "all", ""]["seconds"] == 8
    assert frame.loc["a", "all", ""]["prompts"] == 6


def test_the_sums_of_a_model_are_its_last_row(tmp_path):
    frame = table(tmp_path, [0])
    assert list(frame["state"]) == [ORIGIN, ORIGIN, ORIGIN, "stage1", "stage1", "all", ORIGIN, "all"]
    assert list(frame["model"]) == ["b"] * 6 + ["a"] * 2


def test_means_over_seeds(tmp_path):
    frame = table(tmp_path, [0, 1]).set_index(["model", "state", "work"])
    probe = frame.loc["b", ORIGIN, "probe of train"]
    assert (probe["jobs"], probe["prompts"], probe["seconds"]) == (2, 9, 12)
    assert frame.loc["b", "all", ""]["prompts"] == 27


def test_a_missing_benchmark_is_no_number(tmp_path):
    frame = table(tmp_path, [0]).set_index(["model", "state", "work"])
    assert math.isnan(frame.loc["b", ORIGIN, "evaluation"]["seconds"])
    for file in (tmp_path / "benchmarks").rglob("*.tsv"):
        file.unlink()
    without = costs.table(costs.works(NEEDS, [0], 2), tmp_path, LABELS)
    assert without["seconds"].isna().all() and (without["jobs"] > 0).all()


def test_one_missing_shard_takes_the_seconds_of_the_probe(tmp_path):
    table(tmp_path, [0])
    (tmp_path / layout.probe_benchmark(0, "b", ORIGIN, "train", 0, 1)).unlink()
    frame = costs.table(costs.works(NEEDS, [0], 2), tmp_path, LABELS).set_index(["model", "state", "work"])
    assert math.isnan(frame.loc["b", ORIGIN, "probe of train"]["seconds"])


@pytest.mark.parametrize("content", ["[]", '{"prompts": 3}'])
def test_usage_that_cannot_be_used_names_its_file(tmp_path, content):
    table(tmp_path, [0])
    path = layout.evaluation_usage(0, "b", "stage1")
    (tmp_path / path).write_text(content)
    with pytest.raises(InputError, match=rf"{path}.*answer_tokens"):
        costs.table(costs.works(NEEDS, [0], 2), tmp_path, LABELS)


def test_the_markdown_has_all_cells(tmp_path):
    text = costs.render(table(tmp_path, [0, 1]), 2)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 8 and {row.count("|") for row in rows} == {10}
    assert "nan" not in text and "Means over 2 seeds." in text and "1 seed." in costs.render(table(tmp_path, [0]), 1)
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert ["Model B", "stage1", "training", "1", "", "", "", "", "6"] in cells
    assert ["Model B", ORIGIN, "evaluation", "1", "4", "45", "450", "4,500", "–"] in cells


def test_the_script_writes_both_files(tmp_path):
    frame = table(tmp_path, [0])
    found = costs.works(NEEDS, [0], 2)
    arguments = ["--works", json.dumps(found), "--results", str(tmp_path), "--labels", json.dumps(LABELS)]
    write_costs.main([*arguments, "--csv", str(tmp_path / "costs.csv"), "--markdown", str(tmp_path / "costs.md")])
    assert list(pd.read_csv(tmp_path / "costs.csv")["prompts"]) == list(frame["prompts"])
    assert (tmp_path / "costs.md").read_text() == costs.render(frame, 1)
