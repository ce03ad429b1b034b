"""Made-up results of a study, as the tables read them: which facts each state knows and answers rightly."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradual.ground.files import write_text
from gradual.knowledge.categories import FULL, GREEDY_ONLY
from gradual.knowledge.scoring import MEASURES, RULES
from gradual.study.result_files import (
    ACCURACY,
    ADAPTER,
    CATEGORIES,
    CHANCE,
    EVALUATION,
    FACTS,
    GRADES,
    PROBE_GRADES,
    SELECTION,
    Result,
)
from gradual.tables import reading
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.spec import Model, Results

ORIGIN, RUN1, RUN2 = "origin", "stage1", "strategy5"
LONGER = {RUN1: 10, "stage1_25": 25}
STRATEGIES = ("strategy1", "strategy4", RUN2)
REPLAY = {"strategy4": 0.0, "replay10": 0.1, RUN2: 0.2}
RUNS = (RUN1, "stage1_25", *STRATEGIES, "replay10", "round3", "train_on", "random")
LETTERS = dict(zip("HMWU", FULL, strict=True))
KNOWN = dict(zip("HMW", GREEDY_ONLY, strict=True)) | {"U": GREEDY_ONLY[2]}


def study(
    seeds: tuple[int, ...] = (0,), paper_model: str | None = "Qwen2-7B", runs: Sequence[str] = RUNS, **other: Any
) -> Study:
    """A study of one model, m, that has stages and a re-probe; all else is `other`."""
    settings = {"one_stage": RUN1, "two_stage": RUN2, "scoring": "substring", "choose_on": "dev", "retests": 1} | other
    return Study(seeds=seeds, models={"m": Model("tiny Qwen2", paper_model, tuple(runs))}, **settings)


def whole_study(seeds: tuple[int, ...] = (0,), **other: Any) -> Study:
    """A study with something for every table."""
    settings: dict[str, Any] = {"longer": LONGER, "strategies": STRATEGIES, "rounds": ("round3",), "replay": REPLAY}
    settings |= {"answers": "first", "frequent_share": 0.05}
    controls = {"one_stage_controls": ("random",), "two_stage_controls": ("train_on",)}
    return study(seeds, **settings | controls | other)


# Facts and probes


def train_id(i: int) -> str:
    return f"{i:016x}"


def test_id(i: int) -> str:
    return f"f{i:015x}"


test_id.__test__ = False  # type: ignore[attr-defined]


def fact_table(train: int, test: int = 1) -> pd.DataFrame:
    """Facts of one relation, with entities that no two of them share."""
    ids = [*map(train_id, range(train)), *map(test_id, range(test))]
    return pd.DataFrame(
        {
            "fact_id": ids,
            "split": ["train"] * train + ["test"] * test,
            "relation": "r",
            "subject": [f"subject {i}" for i in ids],
            "question": [f"what of {i}?" for i in ids],
            "answers": [[f"answer {i}"] for i in ids],
        }
    )


def facts_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Facts of split, relation and answer."""
    table = pd.DataFrame(rows, columns=["split", "relation", "answer"])
    return table.assign(fact_id=[f"{i:016x}" for i in range(len(rows))], answers=[[row[2], "other"] for row in rows])


def probe(labels: Iterable[str], split: str = "train") -> pd.DataFrame:
    """A probe that puts fact i into category labels[i]."""
    labels = list(labels)
    name = train_id if split == "train" else test_id
    return pd.DataFrame({"fact_id": [name(i) for i in range(len(labels))], "category": labels})


def full(letters: str) -> list[str]:
    """The categories of a full probe from their initials."""
    return [LETTERS[letter] for letter in letters]


def greedy(letters: str) -> list[str]:
    """The categories of a greedy probe from their initials; W and U are one class."""
    return [KNOWN[letter] for letter in letters]


def spread(cells: dict[tuple[str, str], float]) -> Iterator[tuple[str, str]]:
    """The row and column of each fact of a table of counts."""
    for key, value in cells.items():
        yield from [key] * int(value)


def transitions(cells: dict[tuple[str, str], float]) -> tuple[list[str], list[str]]:
    """The category of each fact of a table of transitions before and after."""
    before, after = zip(*spread(cells), strict=True)
    return list(before), list(after)


def loaded(states: Mapping[tuple[str, int], Sequence[str]], seed: int = 0) -> Results:
    """Results that hold facts and, by state and probe, the category of each train fact."""
    n = len(next(iter(states.values())))
    frames = {
        (seed, "m", Result(CATEGORIES, state, number)): probe(labels) for (state, number), labels in states.items()
    }
    return {(seed, "", Result(FACTS)): fact_table(n)} | frames


# Evaluations


def is_right(right: int | str, n: int) -> list[bool]:
    """Right or wrong by test fact: the first so many are right, or a text of ones and zeros."""
    return [i < right for i in range(n)] if isinstance(right, int) else [letter == "1" for letter in right]


def evaluation(
    states: Mapping[str, Mapping[int, int | str]], n: int = 100, epochs: dict[str, int] | None = None, seed: int = 0
) -> Results:
    """Results of evaluated states: which test facts are right by epoch (see `is_right`); epoch 1 is chosen unless told."""
    made: Results = {}
    for state, by_epoch in states.items():
        accuracy, grades, answers = [], [], []
        for epoch, given in by_epoch.items():
            right = is_right(given, n)
            n_, k = len(right), sum(right)
            accuracy.append({"epoch": epoch, "split": "test", "n": n_, "right": k, "accuracy": k / n_})
            accuracy.append({"epoch": epoch, "split": "dev", "n": n_, "right": 1, "accuracy": 1 / n_})
            grades += [
                {"epoch": epoch, "split": "test", "fact_id": test_id(i), "substring": r} for i, r in enumerate(right)
            ]
            said = {test_id(i): f"answer {test_id(i)}" if r else "nothing" for i, r in enumerate(right)}
            answers += [(epoch, fact, text) for fact, text in {"d" * 16: "of a dev fact", **said}.items()]
        made[seed, "m", Result(ACCURACY, state)] = pd.DataFrame(accuracy)
        made[seed, "m", Result(GRADES, state)] = pd.DataFrame(grades)
        made[seed, "m", Result(EVALUATION, state)] = pd.DataFrame(answers, columns=["epoch", "fact_id", "text"])
        if state != ORIGIN:
            epoch = (epochs or {}).get(state, 1)
            made[seed, "m", Result(ADAPTER, state)] = {"epoch": epoch, "chosen_on": "dev"}
    return made


def selections(sizes: Mapping[str, int], seed: int = 0) -> Results:
    """Selections of so many facts to train on, and of three to replay."""
    return {
        (seed, "m", Result(SELECTION, run)): pd.DataFrame(
            {"fact_id": [train_id(i) for i in range(n + 3)], "role": ["train"] * n + ["replay"] * 3}
        )
        for run, n in sizes.items()
    }


# A whole study, by hand: the numbers that follow from it are in the tests.

TRAIN = {  # by state and probe, the categories of ten train facts
    (ORIGIN, 0): "HHMMWWWUUU",
    (ORIGIN, 1): "HMMHWMWUUU",
    (RUN1, 0): "HHHMMWMUHU",
    (RUN2, 0): "HHHHMWMUHU",
    ("train_on", 0): "HHHMMWWUUU",
}
TEST = "HHHMMWUUUU"  # how the origin knows ten test facts
RIGHT: dict[str, dict[int, int | str]] = {  # which of them are right, by epoch; epoch 1 is chosen
    ORIGIN: {0: "1110000000"},
    RUN1: {1: "1101100000", 2: "1101101000", 3: "1101000000"},
    "stage1_25": {1: "1101110000", 2: "1111111000", 3: "1000100000"},
    "strategy1": {1: "1001100000"},
    "strategy4": {1: "1111100000"},
    "replay10": {1: "1101110000"},
    RUN2: {1: "1101101100", 2: "1101100000"},
    "round3": {1: "1101101000"},
    "train_on": {1: "1111100100"},
    "random": {1: "1100100000"},
}
SIZES = {RUN1: 2, "random": 2, RUN2: 4, "train_on": 2, "strategy4": 4, "replay10": 4}


def whole_results(
    seed: int = 0, times: int = 1, right: Mapping[str, Mapping[int, int | str]] | None = None, train: Any = None
) -> Results:
    """The results of `whole_study`: each fact above `times` times over; `right` and `train` replace states of them."""
    train = TRAIN | (train or {})
    evaluated = {
        state: {epoch: text * times if isinstance(text, str) else text for epoch, text in by_epoch.items()}
        for state, by_epoch in (RIGHT | dict(right or {})).items()
    }
    made = loaded({key: (full if key == (ORIGIN, 0) else greedy)(text) * times for key, text in train.items()}, seed)
    made[seed, "", Result(FACTS)] = fact_table(10 * times, 10 * times)
    made[seed, "m", Result(CATEGORIES, ORIGIN, 0, "test")] = probe(full(TEST) * times, "test")
    made |= evaluation(evaluated, seed=seed) | selections(SIZES, seed)
    made[seed, "m", Result(CHANCE)] = pd.DataFrame(
        {"relation": ["a", "b"], "facts": [4, 2], "weakly_known": [2, 1], "chance": [0.25, np.nan]}
    )
    for state in evaluated:  # the other scoring rules find nothing right
        grades = made[seed, "m", Result(GRADES, state)]
        made[seed, "m", Result(GRADES, state)] = grades.assign(
            **{rule: False for rule in MEASURES if rule not in grades}
        )
    made[seed, "m", Result(PROBE_GRADES)] = probe_grades(TRAIN[ORIGIN, 0] * times)
    return made


def probe_grades(letters: str) -> pd.DataFrame:
    """The grades of a full probe of two prompts whose categories under `substring` are the letters, and else Unknown."""
    greedy_right, sampled_right = {"H": 2, "M": 1, "W": 0, "U": 0}, {"H": 0, "M": 0, "W": 1, "U": 0}
    rows = []
    for i, letter in enumerate(letters):
        for kind, n, right in (("greedy", 2, greedy_right[letter]), ("sampled", 8, sampled_right[letter])):
            others = {rule: 0 for rule in RULES if rule != "substring"}
            rows.append({"fact_id": train_id(i), "kind": kind, "n": n, "substring": right, **others})
    return pd.DataFrame(rows)


def write_results(root: Path, made: Results) -> None:
    """Results as files below root."""
    for (seed, model, need), value in made.items():
        file = root / reading.path(need, seed, model)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".parquet":
            value.to_parquet(file)
        elif file.suffix == ".csv":
            value.to_csv(file, index=False)
        else:
            write_text(json.dumps(value), file)
