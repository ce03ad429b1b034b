"""Question sets: the questions that a state can be asked, by name."""

from collections.abc import Callable, Iterable
from functools import partial

import pandas as pd

from gradual.data.facts import SPLITS


def of_split(split: str, facts: pd.DataFrame) -> pd.DataFrame:
    """The facts of a split, asked by their own questions."""
    return facts[facts["split"] == split]


# Each function takes a facts table and returns the rows that are asked, with the columns of a facts table.
QUESTION_SETS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    split: partial(of_split, split) for split in SPLITS if split != "support"
}


def questions(facts: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The rows of the named question sets, in the order of the facts table."""
    return pd.concat([QUESTION_SETS[name](facts) for name in names]).sort_index()
