"""Rows of a user's file that are about facts: how a row names its fact, and the texts in its cells."""

from collections import defaultdict
from typing import Any

import pandas as pd

from gradual.data.readers.raw import RawFile, check_text, require
from gradual.data.readers.records import MISSING, value_at
from gradual.ground.normal_form import question_key


def facts_by_question(facts: pd.DataFrame) -> dict[str, list[str]]:
    """The ids of the facts that ask each question; a question is written as `question_key` writes it."""
    found: dict[str, list[str]] = defaultdict(list)
    for fact_id, question in zip(facts["fact_id"], facts["question"], strict=True):
        found[question_key(question)].append(fact_id)
    return dict(found)


def has(row: dict[str, Any], column: str) -> bool:
    """Whether a row has a value in a column. An empty cell has none."""
    return value_at(row, column) not in (MISSING, None, "")


def cell(row: dict[str, Any], column: str, file: RawFile, number: int) -> Any:
    """The value of a cell. Where there is none, raises InputError with a similar column that the row has instead."""
    value = value_at(row, column)
    return require(row, column, file.label, number) if value is MISSING else value


def text(row: dict[str, Any], column: str, file: RawFile, number: int) -> str:
    """The text of a cell, in one line; a whole number is written in digits. Raises InputError for any other value."""
    value = cell(row, column, file, number)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return check_text(value, file.label, number, column)
