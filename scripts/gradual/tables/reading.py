"""Reading and checking the result files that the tables are made from."""

from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.files import read_json, read_parquet
from gradual.knowledge.categories import GREEDY_ONLY, UNKNOWN, WEAKLY, WEAKLY_OR_UNKNOWN
from gradual.study.result_files import (
    ACCURACY,
    ADAPTER,
    CATEGORIES,
    EVALUATION,
    FACTS,
    GRADES,
    KINDS,
    Result,
    path_of,
)
from gradual.study.runs import ORIGIN
from gradual.tables.spec import Results, Study


def path(need: Result, seed: object, model: str) -> str:
    """Where a needed file is, relative to results/<study>/."""
    return path_of(need, seed, model)


def keys(study: Study, needs: dict[str, list[Result]]) -> list[tuple[int, str, Result]]:
    """The needs of each model for every seed; once per seed what all models share, such as the facts."""
    found = {
        (seed, model if "{model}" in KINDS[need.kind].pattern else "", need): None
        for seed in study.seeds
        for model, wanted in needs.items()
        for need in wanted
    }
    return list(found)


def _read(file: Path) -> Any:
    if file.suffix == ".parquet":
        return read_parquet(file, "a result of this study")
    if file.suffix == ".json":
        return read_json(file, "a result of this study")
    try:
        return pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise InputError(file, f"cannot be read ({error})", "a result of this study, as CSV") from error


def load(root: Path | str, study: Study, needs: dict[str, list[Result]]) -> Results:
    """The needed files below results/<study>/; raises InputError for one that is missing or unreadable."""
    return {key: _read(Path(root) / path(key[2], key[0], key[1])) for key in keys(study, needs)}


def get(results: Results, seed: int, model: str, need: Result) -> Any:
    """One loaded result; raises InputError where it was not loaded."""
    try:
        return results[seed, model, need]
    except KeyError:
        raise InputError(path(need, seed, model), "is missing", "a result for every seed and model") from None


def require(frame: pd.DataFrame, columns: list[str], file: str) -> None:
    """Raise InputError unless a file has all of these columns, with a value in every row."""
    for column in columns:
        if column not in frame.columns:
            raise InputError(file, f"has the columns {list(frame.columns)}", f"a column {column!r}", key=column)
        if frame[column].isna().any():
            row = int(frame[column].isna().to_numpy().argmax()) + 1
            raise InputError(file, "the cell is empty", "a value in every row", row=row, key=column)


def collapse(categories: pd.Series) -> pd.Series:
    """The categories with WeaklyKnown and Unknown as one class (GL Table 3)."""
    return categories.replace(dict.fromkeys((WEAKLY, UNKNOWN), WEAKLY_OR_UNKNOWN))


def categories(
    results: Results,
    seed: int,
    model: str,
    state: str,
    probe: int = 0,
    classes: tuple[str, ...] = GREEDY_ONLY,
    split: str = "train",
) -> pd.Series:
    """The category of each fact of a split, sorted by fact_id. With GREEDY_ONLY, WeaklyKnown and Unknown are one class.

    Raises InputError if the probe does not have exactly the split's facts, each once and in one of the classes.
    """
    need = Result(CATEGORIES, state, probe, split)
    file = path(need, seed, model)
    frame = get(results, seed, model, need)
    require(frame, ["fact_id", "category"], file)
    if frame["fact_id"].duplicated().any():
        row = int(frame["fact_id"].duplicated().to_numpy().argmax()) + 1
        raise InputError(file, "the fact occurs twice", "each fact once", row=row, key="fact_id")
    labels = frame.set_index("fact_id")["category"].sort_index()
    if classes == GREEDY_ONLY:
        labels = collapse(labels)
    for label in labels[~labels.isin(classes)].unique():
        raise InputError(file, f"the category {label!r}", f"one of {', '.join(classes)}", key="category")
    facts = get(results, seed, "", Result(FACTS))
    require(facts, ["fact_id", "split"], path(Result(FACTS), seed, model))
    there = set(facts.loc[facts["split"] == split, "fact_id"])
    if set(labels.index) != there:
        missing, extra = len(there - set(labels.index)), len(set(labels.index) - there)
        problem = f"lacks {missing} {split} facts and has {extra} others"
        raise InputError(file, problem, f"the {split} facts", key="fact_id")
    return labels


def count(labels: pd.Series, classes: tuple[str, ...]) -> dict[str, int]:
    """How many facts each class has, zeros included; InputError if a fact is in no class."""
    counts = {name: int((labels == name).sum()) for name in classes}
    if sum(counts.values()) != len(labels):
        raise InputError("categories", f"{sum(counts.values())} of {len(labels)} facts are counted", "all facts")
    return counts


def cross(before: pd.Series, after: pd.Series, rows: tuple[str, ...], columns: tuple[str, ...]) -> pd.DataFrame:
    """How many facts of each class before (rows) are of each class after (columns), zeros included.

    Raises InputError unless both have the same facts and the margins are the counts of the classes.
    """
    if not before.index.equals(after.index):
        raise InputError("categories", "two probes hold different facts", "the same facts in both", key="fact_id")
    table = pd.crosstab(before, after).reindex(index=rows, columns=columns, fill_value=0)
    if table.sum(axis=1).to_dict() != count(before, rows) or table.sum(axis=0).to_dict() != count(after, columns):
        raise InputError("categories", "the margins of the transitions are not the counts", "equal margins")
    return table


def chosen_epoch(results: Results, study: Study, seed: int, model: str, state: str) -> int:
    """The epoch chosen for a run, and 0 for the origin. Raises InputError if it was not chosen on the study's split."""
    if state == ORIGIN:
        return 0
    need = Result(ADAPTER, state)
    file = path(need, seed, model)
    chosen = get(results, seed, model, need)
    for key in ("epoch", "chosen_on"):
        if key not in chosen:
            raise InputError(file, "the key is missing", "the epoch and the split it was chosen on", key=key)
    if chosen["chosen_on"] != study.choose_on:
        raise InputError(file, f"chosen on {chosen['chosen_on']!r}", repr(study.choose_on), key="chosen_on")
    return int(chosen["epoch"])


def accuracy(results: Results, seed: int, model: str, state: str, split: str = "test") -> pd.DataFrame:
    """A state's accuracy on a split: columns n, right and accuracy (0..1), by epoch."""
    need = Result(ACCURACY, state)
    file = path(need, seed, model)
    frame = get(results, seed, model, need)
    require(frame, ["epoch", "split", "n", "right", "accuracy"], file)
    rows = frame[frame["split"] == split]
    if not len(rows) or rows["epoch"].duplicated().any():
        raise InputError(file, f"has the {split} epochs {list(rows['epoch'])}", "one row per epoch", key="split")
    return rows.set_index("epoch")[["n", "right", "accuracy"]].sort_index()


def grades(
    results: Results, study: Study, seed: int, model: str, state: str, epoch: int, rule: str | None = None
) -> pd.Series:
    """Right or wrong (bool) for every test fact at an epoch, by a scoring rule (None: the study's), sorted by fact_id.

    Instead of a rule, token_f1 gives numbers (0..1). With the study's rule, raises InputError if the epoch is missing or
    the grades do not add up to the counts in the accuracy file.
    """
    need = Result(GRADES, state)
    file = path(need, seed, model)
    frame = get(results, seed, model, need)
    require(frame, ["epoch", "split", "fact_id", rule or study.scoring], file)
    rows = frame[(frame["split"] == "test") & (frame["epoch"] == epoch)]
    if rule and rule != study.scoring:
        return rows.set_index("fact_id")[rule].sort_index()
    right = rows.set_index("fact_id")[study.scoring].astype(bool).sort_index()
    counted = accuracy(results, seed, model, state)
    if epoch not in counted.index:
        problem, file = f"has the epochs {list(counted.index)}", path(Result(ACCURACY, state), seed, model)
        raise InputError(file, problem, f"the chosen epoch {epoch}", key="epoch")
    expected = (int(counted.loc[epoch, "right"]), int(counted.loc[epoch, "n"]))
    if (int(right.sum()), len(right)) != expected:
        problem = f"{int(right.sum())} of {len(right)} test answers are right at epoch {epoch} by {study.scoring}"
        raise InputError(file, problem, f"{expected[0]} of {expected[1]}, as in accuracy.csv", key=study.scoring)
    return right


def chosen_grades(
    results: Results, study: Study, seed: int, model: str, state: str, rule: str | None = None
) -> pd.Series:
    """Right or wrong for every test fact at the state's chosen epoch."""
    return grades(results, study, seed, model, state, chosen_epoch(results, study, seed, model, state), rule)


def chosen_answers(results: Results, study: Study, seed: int, model: str, state: str) -> pd.Series:
    """The answer (text) to every test fact at the state's chosen epoch, sorted by fact_id.

    Raises InputError unless these are the facts that are graded.
    """
    need = Result(EVALUATION, state)
    file = path(need, seed, model)
    frame = get(results, seed, model, need)
    require(frame, ["epoch", "fact_id", "text"], file)
    graded = chosen_grades(results, study, seed, model, state).index
    rows = frame[frame["epoch"] == chosen_epoch(results, study, seed, model, state)]
    texts = rows[rows["fact_id"].isin(graded)].set_index("fact_id")["text"].sort_index()
    if not texts.index.equals(graded):
        problem = f"has {len(texts)} answers to the {len(graded)} test facts at the chosen epoch"
        raise InputError(file, problem, "one answer to each", key="fact_id")
    return texts


def among(values: pd.Series, counted: pd.Series) -> pd.Series:
    """The values of the facts that count. `counted` (bool) tells of every fact, and both have the index fact_id.

    Raises InputError for a value of another fact.
    """
    others = values.index.difference(counted.index)
    if len(others):
        problem = f"fact {others[0]} is not among the facts of the study"
        raise InputError("evaluation grades", problem, "an evaluation of these facts", key="fact_id")
    return values[counted.loc[values.index].to_numpy()]


def evaluated(state: str) -> list[Result]:
    """What `chosen_grades` and `accuracy` of a state need."""
    return [Result(ACCURACY, state), Result(GRADES, state), *([Result(ADAPTER, state)] if state != ORIGIN else [])]
