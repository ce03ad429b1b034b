"""Columns and notes that several tables of stages share."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from gradual.tables import accuracy_rows, markdown
from gradual.tables.markdown import count, with_interval
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Column

METHOD = Column("Method", lambda row: str(row["method"]), right=False)
STAGE = Column("Stage", lambda row: str(row["stage"]))
WORDING = Column("Wording", lambda row: str(row["wording"]), right=False)
# The fields of the study that the rows of every table depend on.
STAGES = ("stage_facts", "stage_domains", "stage_revisions", "methods", "method_labels", "trained", "unseen")
LINES = (*STAGES, "others", "parents")

UNITS = "Shares are in percent of answers."
WORDINGS = (
    "A question is asked in the wordings that runs train on (*trained*) and in those that no run trains on (*unseen*; "
    "`dataset.wordings`)."
)
DECIDING = (
    "Questions are asked in the wordings that no run trains on (`dataset.wordings.test`) or, without such wordings, "
    "in the trained ones."
)
VALID = "An answer is right if it is right by the answer that is valid after the stage."
GREEDY = "Answers are greedy; the paper draws one answer at a temperature of 0.8."
DASH = "A dash means that there is no such answer."
AGAIN = (
    "The rows of stage 1 asked with other prompts have no training in between. So they show what a change of "
    "prompts alone does (the noise floor)."
)
KEPT = (
    "Kept facts are those that an earlier stage trains on and this stage does not; for stage 1, they are those that "
    "stage 2 does not train on."
)


def named(study: Study, key: str, line: Line) -> dict[str, Any]:
    """The columns that name a row: those of all tables, the method and the stage."""
    return accuracy_rows.common(study, key) | {"method": line.name, "stage": line.stage}


def share(header: str, name: str) -> Column:
    """A column of a share with its interval, from the columns <name>, <name>_low and <name>_high."""
    return Column(header, _interval(name))


def number(header: str, name: str) -> Column:
    """A column of counts."""
    return Column(header, lambda row: count(row[name]))


def plain(header: str, name: str) -> Column:
    """A column of a share, or of another number, without its interval."""
    return Column(header, lambda row: markdown.number(row[name]))


def _interval(name: str) -> Callable[[pd.Series], str]:
    return lambda row: with_interval(row, name)
