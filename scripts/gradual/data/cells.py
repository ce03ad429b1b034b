"""Checks of the cells of a table that other jobs read."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from gradual.data.facts import FACT_ID
from gradual.ground.errors import InputError, together


def refuse(table: pd.DataFrame, bad: pd.Series, file: object, key: str, expected: str) -> None:
    """Raise InputError with the rows of a table that are `bad` in a column, up to twenty."""
    if rows := bad.to_numpy().nonzero()[0].tolist():
        raise together([InputError(file, f"{table[key].iloc[i]!r}", expected, row=i + 1, key=key) for i in rows])


def lacking(column: pd.Series, holds: Callable[[Any], bool]) -> pd.Series:
    """The cells of a column of which something does not hold (bool)."""
    return ~column.map(holds).astype(bool)


def is_id(value: Any) -> bool:
    """Whether a value may be the id of a fact."""
    return isinstance(value, str) and bool(FACT_ID.fullmatch(value))


def is_number(value: Any) -> bool:
    """Whether a value may be the number of a revision or a wording: an integer from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text(value: Any) -> bool:
    """Whether a value is a text that is not empty."""
    return isinstance(value, str) and value.strip() != ""
