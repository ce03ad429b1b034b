"""Wordings of questions: other words for a question, which keep its subject and its answer.

Wording 0 is the question of the facts table. The others come from templates (`data.wording_templates`) or from columns of a
user's table.
"""

from pathlib import Path

import pandas as pd

from gradual.data.cells import is_id, is_number, is_text, lacking, refuse
from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet

WORDING_COLUMNS = ("fact_id", "wording", "question")


def read_wordings(path: Path | str) -> pd.DataFrame:
    """The wordings of a Parquet file. Raises InputError, with row and key, for what no rule here writes."""
    wordings = read_parquet(path, "the wordings of questions", WORDING_COLUMNS)
    refuse(wordings, lacking(wordings["fact_id"], is_id), path, "fact_id", "16 hex digits")
    refuse(wordings, lacking(wordings["wording"], is_number), path, "wording", "an integer from 0")
    refuse(wordings, lacking(wordings["question"], is_text), path, "question", "a text that is not empty")
    refuse(wordings, wordings.duplicated(["fact_id", "wording"]), path, "wording", "each wording of a fact once")
    return wordings


def reworded(facts: pd.DataFrame, wordings: pd.DataFrame, wording: int) -> pd.DataFrame:
    """The rows of a facts table, or of any table with fact_id and question, that ask in one wording.

    `wordings` has the columns WORDING_COLUMNS. Raises InputError where a fact has no such wording.
    """
    questions = wordings[wordings["wording"] == wording].set_index("fact_id")["question"]
    missing = facts["fact_id"][~facts["fact_id"].isin(questions.index)]
    if len(missing):
        expected = f"one of {sorted(set(wordings['wording']))} for every fact (dataset.wordings)"
        raise InputError("wordings", f"fact {missing.iloc[0]} has no wording {wording}", expected, key="wording")
    return facts.assign(question=questions.loc[facts["fact_id"]].to_numpy())
