"""The sentences in which a document states a fact: templates by relation, for the generated world and EntityQuestions."""

import csv
from pathlib import Path

RESOURCES = ("sentence_templates.csv",)  # read by the code fingerprint
FALLBACK = ("{q} The answer is {a}.", "{q} It is {a}.", "{q} {a}.")
STATEMENTS: dict[str, list[str]] = {}
with Path(__file__).with_name(RESOURCES[0]).open(encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file):
        STATEMENTS.setdefault(row["relation"], []).append(row["template"])


def state(relation: str, subject: str, question: str, answer: str, paraphrase: int) -> str:
    """The sentence that states a fact. A fact of unknown relation or subject is stated through its question."""
    templates = STATEMENTS.get(relation, FALLBACK) if subject else FALLBACK
    return templates[paraphrase % len(templates)].format(s=subject, a=answer, q=question)
