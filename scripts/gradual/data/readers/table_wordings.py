"""Wordings of questions that stand in columns of a user's table, beside the question."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from gradual.data.question_wordings import WORDING_COLUMNS
from gradual.data.readers.named_facts import cell, facts_by_question, text
from gradual.data.readers.raw import RawFile, each
from gradual.data.readers.records import as_object, rows_of
from gradual.ground.errors import InputError
from gradual.ground.normal_form import question_key


def read_table_wordings(
    files: Sequence[RawFile], question: str, columns: Sequence[str], facts: pd.DataFrame
) -> pd.DataFrame:
    """The wordings of all facts (WORDING_COLUMNS): 0 is the fact's own question, and 1, 2, ... are those of the columns.

    `files` are those of the facts, and `question` is the column of the question. Rows of facts that the study left out do
    not count. Raises InputError, with file, row and key, for a row that lacks a wording, has one twice, or words a question
    otherwise than an earlier row does.
    """
    asked = facts_by_question(facts)
    found: dict[str, list[str]] = {}

    def worded(number: int, placed: tuple[RawFile, Any]) -> None:
        file, row = placed[0], as_object(placed[1], placed[0], number)
        key = question_key(str(cell(row, question, file, number)))
        if key not in asked:
            return
        texts = [text(row, column, file, number) for column in columns]
        keys = [key, *map(question_key, texts)]
        for place, column in enumerate(columns, 1):
            if keys[place] in keys[:place]:
                expected = "a wording that no other column of the row has"
                raise InputError(file.label, f"{texts[place - 1]!r}", expected, row=number, key=column)
        if found.setdefault(key, texts) != texts:
            problem = f"{texts!r}, but an earlier row words this question otherwise"
            expected = "the same wordings of a question in every row"
            raise InputError(file.label, problem, expected, row=number, key=question)

    each(((number, (file, row)) for file in files for number, row in rows_of(file)), worded)
    if lost := [own for own in facts["question"] if question_key(own) not in found]:
        raise InputError(
            files[0].label, f"no row asks {lost[0]!r}", "the rows that the facts were read from", key=question
        )
    rows = [
        (fact_id, number, wording)
        for fact_id, own in zip(facts["fact_id"], facts["question"], strict=True)
        for number, wording in enumerate([own, *found[question_key(own)]])
    ]
    return pd.DataFrame(rows, columns=list(WORDING_COLUMNS))
