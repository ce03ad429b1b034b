"""Templates of questions: the wordings of each relation of the generated world and of EntityQuestions.

The templates are in wording_templates.csv. Those of wording 0 are the datasets' own, and tell the subject of a question.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from gradual.data.question_wordings import WORDING_COLUMNS
from gradual.ground.errors import InputError, together

RESOURCES = ("wording_templates.csv",)  # read by the code fingerprint
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
