"""The facts table: every dataset in one form, with ids that depend on content alone."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet
from gradual.ground.seeding import digest_of

COLUMNS = ["fact_id", "split", "relation", "subject", "question", "answers"]
SPLITS = ("train", "dev", "test", "support")
FACT_ID = re.compile("[0-9a-f]{16}")


def make_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The facts table of rows with the keys split, relation, subject, question and answers.

    The id is a digest of the row and of its occurrence among identical rows, so that it does not depend on the order of
    the rows and repeated rows stay distinct. Sorted by split, relation and id.
    """
    seen: Counter[str] = Counter()
    table = []
    for row in rows:
        content = digest_of(row["split"], row["relation"], row["subject"], row["question"], json.dumps(row["answers"]))
        fact_id = digest_of(content, seen[content])
        seen[content] += 1
        table.append((fact_id, row["split"], row["relation"], row["subject"], row["question"], list(row["answers"])))
    return sort(pd.DataFrame(table, columns=COLUMNS))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def sort(facts: pd.DataFrame) -> pd.DataFrame:
    """The facts in their canonical order."""
    return facts.sort_values(["split", "relation", "fact_id"], ignore_index=True)


def validate(facts: pd.DataFrame, file: object) -> pd.DataFrame:
    """The facts table itself, or InputError naming the first row and key that break its schema."""
    if list(facts.columns) != COLUMNS:
        raise InputError(file, f"has the columns {list(facts.columns)}", f"the columns {COLUMNS}")
    if not len(facts):
        raise InputError(file, "holds no facts", "at least one")

    def refuse(bad: pd.Series, key: str, expected: str) -> None:
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise InputError(file, f"{facts[key].iloc[row]!r}", expected, row=row + 1, key=key)

    def lacks(key: str, holds: Callable[[Any], bool]) -> pd.Series:
        return ~facts[key].map(holds).astype(bool)

    refuse(lacks("fact_id", lambda v: isinstance(v, str) and bool(FACT_ID.fullmatch(v))), "fact_id", "16 hex digits")
    refuse(facts["fact_id"].duplicated(), "fact_id", "an id that no other row has")
    refuse(~facts["split"].isin(SPLITS), "split", f"one of {', '.join(SPLITS)}")
    for key in ("relation", "question"):
        refuse(lacks(key, _is_text), key, "a text that is not empty")
    refuse(lacks("subject", lambda value: isinstance(value, str)), "subject", "a text, empty where unknown")
    refuse(lacks("answers", lambda v: isinstance(v, list) and len(v) > 0), "answers", "a list of at least one answer")
    refuse(lacks("answers", lambda answers: all(map(_is_text, answers))), "answers", "no empty answer")
    return facts


def read_facts(path: Path | str) -> pd.DataFrame:
    """A facts table from its Parquet file, validated."""
    facts = read_parquet(path, "a facts table")
    if "answers" in facts:
        facts["answers"] = facts["answers"].map(lambda value: list(value) if isinstance(value, np.ndarray) else value)
    return validate(facts, path)


def single_answer(facts: pd.DataFrame, splits: Iterable[str]) -> pd.DataFrame:
    """Without the facts of the splits that have several answers (GL 4.1.1; a repeated answer counts as several)."""
    several = facts["split"].isin(list(splits)) & (facts["answers"].str.len() != 1)
    return facts[~several].reset_index(drop=True)


def keep_relations(facts: pd.DataFrame, relations: list[str], file: object) -> pd.DataFrame:
    """Only the facts of the relations; InputError where the data has no such relation."""
    known = sorted(facts["relation"].unique())
    for relation in relations:
        if relation not in known:
            near = difflib.get_close_matches(relation, known, 1)
            hint = f"one of {', '.join(known)}" + (f" (did you mean {near[0]!r}?)" if near else "")
            raise InputError(file, f"there is no relation {relation!r}", hint, key="dataset.relations")
    return facts[facts["relation"].isin(relations)].reset_index(drop=True)


def _shuffled(ids: pd.Series, *key: object) -> pd.Series:
    """The ids in a seeded order that does not depend on the order they come in."""
    return ids.loc[ids.map(lambda fact_id: digest_of(*key, fact_id)).sort_values().index]


def carve(facts: pd.DataFrame, shares: dict[str, float], seed: int, file: object) -> pd.DataFrame:
    """Move a share of each relation's train facts to each of the named splits; ids are kept.

    Raises InputError where a split exists already, the shares reach 1, or a relation would be left without train facts.
    """
    if not shares:
        return facts
    if sum(shares.values()) >= 1:
        raise InputError(file, f"the shares {shares} leave no train facts", "a sum below 1", key="dataset.carve")
    for split in shares:
        if split in set(facts["split"]):
            raise InputError(
                file, f"the data has a split {split!r} already", "a new split", key=f"dataset.carve.{split}"
            )
    facts = facts.copy()
    train = facts[facts["split"] == "train"]
    for relation, ids in train.groupby("relation")["fact_id"]:
        order = _shuffled(ids, "carve", seed).index
        start = 0
        for split, share in shares.items():
            count = round(share * len(order))
            facts.loc[order[start : start + count], "split"] = split
            start += count
        if start >= len(order):
            raise InputError(file, f"relation {relation!r} has {len(order)} facts", "more", key="dataset.carve")
    for split in shares:
        if split not in set(facts["split"]):
            problem = f"a share of {shares[split]} gives no facts of any relation"
            raise InputError(file, problem, "a larger share or more facts", key=f"dataset.carve.{split}")
    return sort(facts)


def sample(facts: pd.DataFrame, max_facts: dict[str, int], seed: int) -> pd.DataFrame:
    """At most so many facts of each named split, drawn at random but independently of the order of the rows."""
    kept = [
        group.loc[_shuffled(group["fact_id"], "sample", seed).index[: max_facts.get(split, len(group))]]
        for split, group in facts.groupby("split")
    ]
    return sort(pd.concat(kept))


def drop_overlap(facts: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """Without the train facts whose question, subject or an answer occurs (case-folded) in a test fact (Gekhman)."""
    test, train = facts[facts["split"] == "test"], facts["split"] == "train"
    drop = pd.Series(False, index=facts.index)
    for key in keys:
        if key == "answer":
            seen = {a.casefold() for answers in test["answers"] for a in answers}
            drop |= facts["answers"].map(lambda answers, seen=seen: any(a.casefold() in seen for a in answers))
        else:
            seen = set(test[key].str.casefold()) - {""}
            drop |= facts[key].str.casefold().isin(seen)
    return facts[~(train & drop)].reset_index(drop=True)


def check_exemplars(facts: pd.DataFrame, split: str, shots: int, file: object) -> None:
    """Raise InputError unless every relation has `shots` exemplars in the split beside the fact that is asked about."""
    asked = facts[facts["split"] != "support"]
    shown = facts[facts["split"] == split].groupby("relation")["question"].nunique()
    for relation in sorted(asked["relation"].unique()):
        if (have := int(shown.get(relation, 0))) < shots + 1:
            problem = f"relation {relation!r} has {have} questions in split {split!r}"
            expected = f"at least {shots + 1} (one more than probe.shots), or dataset.relations without it"
            raise InputError(file, problem, expected, key="relation")


def count(facts: pd.DataFrame) -> pd.DataFrame:
    """Rows and rows with one answer by split."""
    single = facts["answers"].str.len() == 1
    return (
        facts.assign(single_answer=single)
        .groupby("split", sort=False)
        .agg(facts=("fact_id", "size"), single_answer=("single_answer", "sum"), relations=("relation", "nunique"))
        .reset_index()
    )
