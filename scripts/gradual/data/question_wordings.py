"""Wordings of questions: other words for a question, which keep its subject and its answer.

Wording 0 is the question of the facts table. The templates of each relation are in question_wordings.csv, for the generated
world and for EntityQuestions. The templates of wording 0 are the datasets' own, and tell the subject of a question.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from gradual.data.cells import is_id, is_number, is_text, lacking, refuse
from gradual.ground.errors import InputError, together
from gradual.ground.files import read_parquet

RESOURCES = ("question_wordings.csv",)  # read by the code fingerprint
WORDING_COLUMNS = ("fact_id", "wording", "question")
TEMPLATES: dict[str, list[str]] = {}  # by relation, in the order of the wordings
with Path(__file__).with_name(RESOURCES[0]).open(encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file):
        TEMPLATES.setdefault(row["relation"], []).append(row["template"])
WORDINGS = 4  # of each relation with templates


def by_templates(facts: pd.DataFrame, wordings: Iterable[int]) -> pd.DataFrame:
    """The questions of all facts in these wordings (WORDING_COLUMNS), from the templates of their relations.

    The subject stands in each of them as in the fact's own question. Raises InputError for a relation without templates,
    and for a question that is not its relation's own template with a subject; each relation is named once.
    """
    numbers = list(wordings)
    rows: list[tuple[str, int, str]] = []
    faults: dict[str, InputError] = {}
    for fact_id, relation, question in facts[["fact_id", "relation", "question"]].itertuples(index=False):
        templates = TEMPLATES.get(relation)
        if templates and (subject := subject_in(question, templates[0])):
            rows += [(fact_id, number, templates[number].replace("{}", subject)) for number in numbers]
        elif relation not in faults:
            pattern = (
                f"the template {templates[0]!r}, filled with a subject" if templates else "a relation with templates"
            )
            problem = f"fact {fact_id} of relation {relation!r} asks {question!r}"
            expected = f"{pattern}, or the wordings in columns of your table (dataset.wordings.columns)"
            faults[relation] = InputError("facts", problem, expected, key="question")
    if faults:
        raise together(list(faults.values()))
    return pd.DataFrame(rows, columns=list(WORDING_COLUMNS))


def subject_in(question: str, template: str) -> str:
    """The text that fills the gap of a template in the question, unchanged; "" where the question has another form."""
    before, after = template.split("{}")
    end = len(question) - len(after)
    fits = question.startswith(before) and question.endswith(after) and end > len(before)
    return question[len(before) : end] if fits and question[len(before) : end].strip() else ""


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
