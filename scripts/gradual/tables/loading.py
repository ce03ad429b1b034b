"""Reading the result files that tables are made of, and checking that they belong together."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.errors import InputError
from gradual.facts import read_facts
from gradual.knowledge import FULL, WEAKLY_OR_UNKNOWN
from gradual.tables.spec import Need, Study


def load(study: Study, results: Path, needs: Iterable[Need]) -> dict[tuple[int, str, Need], Any]:
    """What the needs name, by seed, model and need.

    facts: the sorted ids of the train facts. categories: a Series by fact_id, sorted, checked against the facts where
    they are needed too. accuracy, evaluation_grades: frames. chosen: a dict. Raises InputError where a file is missing,
    cannot be read or does not fit the others.
    """
    loaded: dict[tuple[int, str, Need], Any] = {}
    for seed in study.seeds:
        for model in study.models:
            for need in sorted(needs, key=lambda need: need.kind != "facts"):
                path = results / need.path(seed, model.name)
                try:
                    value = _READERS[need.kind](path)
                except (OSError, ValueError) as error:
                    if isinstance(error, InputError):
                        raise
                    raise InputError(path, f"cannot be read ({error})", f"the {need.kind} of {need.state}") from error
                facts = loaded.get((seed, model.name, Need("facts")))
                if need.kind == "categories" and facts is not None:
                    check_same_facts(facts, value.index, path)
                loaded[seed, model.name, need] = value
    return loaded


def check_same_facts(expected: pd.Index, found: pd.Index, file: object) -> None:
    """Raise InputError unless both have the same facts."""
    if not expected.equals(found):
        more, fewer = found.difference(expected), expected.difference(found)
        example = (fewer.tolist() or more.tolist())[0]
        raise InputError(
            file,
            f"{len(fewer)} facts are missing and {len(more)} are not expected, for example {example}",
            f"the {len(expected):,} facts that the study's other files have",
            key="fact_id",
        )


def _columns(frame: pd.DataFrame, columns: Iterable[str], file: Path) -> pd.DataFrame:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InputError(
            file, f"has no column {', '.join(missing)}", f"the columns {', '.join(columns)}", key=missing[0]
        )
    return frame


def _read_facts(path: Path) -> pd.Index:
    facts = read_facts(path)
    return pd.Index(facts.loc[facts["split"] == "train", "fact_id"].sort_values())


def _read_categories(path: Path) -> pd.Series:
    frame = _columns(pd.read_parquet(path), ("fact_id", "category"), path)
    for key, bad, expected in (
        ("fact_id", frame["fact_id"].duplicated() | frame["fact_id"].isna(), "an id that no other row has"),
        (
            "category",
            ~frame["category"].isin([*FULL, WEAKLY_OR_UNKNOWN]),
            f"one of {', '.join(FULL)}, {WEAKLY_OR_UNKNOWN}",
        ),
    ):
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise InputError(path, f"{frame[key].iloc[row]!r}", expected, row=row + 1, key=key)
    return frame.set_index("fact_id")["category"].sort_index()


def _read_accuracy(path: Path) -> pd.DataFrame:
    return _columns(pd.read_csv(path), ("epoch", "split", "n", "right"), path)


def _read_grades(path: Path) -> pd.DataFrame:
    return _columns(pd.read_parquet(path), ("epoch", "split", "fact_id"), path)


def _read_chosen(path: Path) -> dict[str, Any]:
    chosen = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(chosen, dict) or not {"epoch", "chosen_on"} <= set(chosen):
        raise InputError(path, "is no choice of an epoch", "an object with the keys epoch and chosen_on")
    return chosen


_READERS = {
    "facts": _read_facts,
    "categories": _read_categories,
    "accuracy": _read_accuracy,
    "evaluation_grades": _read_grades,
    "chosen": _read_chosen,
}
