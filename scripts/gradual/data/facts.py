"""The facts table. Every dataset takes this form, and the ids of the facts depend only on their content."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradual.ground.errors import InputError, together
from gradual.ground.files import read_parquet
from gradual.ground.seeding import digest_of

COLUMNS = ["fact_id", "split", "relation", "subject", "question", "answers"]
SPLITS = ("train", "dev", "test", "support")
FACT_ID = re.compile("[0-9a-f]{16}")


def make_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The facts table of rows that have the keys split, relation, subject, question and answers.

    The id is a digest of the row and of its number among identical rows. So it does not depend on the order of the rows,
    and repeated rows stay distinct. The table is sorted by split, relation and id.
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
    """The facts table itself. Raises InputError with the rows that break its schema in one key, up to twenty."""
    if list(facts.columns) != COLUMNS:
        raise InputError(file, f"has the columns {list(facts.columns)}", f"the columns {COLUMNS}")
    if not len(facts):
        raise InputError(file, "holds no facts", "at least one")

    def refuse(bad: pd.Series, key: str, expected: str) -> None:
        if rows := bad.to_numpy().nonzero()[0].tolist():
            raise together([InputError(file, f"{facts[key].iloc[i]!r}", expected, row=i + 1, key=key) for i in rows])

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
    """The facts table of a Parquet file, validated."""
    facts = read_parquet(path, "a facts table")
    if "answers" in facts:
        facts["answers"] = facts["answers"].map(lambda value: list(value) if isinstance(value, np.ndarray) else value)
    return validate(facts, path)


def count(facts: pd.DataFrame) -> pd.DataFrame:
    """The numbers of facts, of facts with one answer, and of relations, by split."""
    single = facts["answers"].str.len() == 1
    return (
        facts.assign(single_answer=single)
        .groupby("split", sort=False)
        .agg(facts=("fact_id", "size"), single_answer=("single_answer", "sum"), relations=("relation", "nunique"))
        .reset_index()
    )
