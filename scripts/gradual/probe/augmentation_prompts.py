"""Prompts that let a model augment a question: the head of a document, which the model continues with one line.

A model that is pretrained on such documents gets the head alone. Another model first gets whole documents as exemplars.
"""

import csv
from pathlib import Path

from gradual.data.augmentation_forms import document, head
from gradual.ground.normal_form import question_key
from gradual.probe.answers import Decoding

RESOURCES = ("augmentation_exemplars.csv",)  # read by the code fingerprint
EXEMPLARS: dict[str, list[dict[str, str]]] = {}  # by way
with Path(__file__).with_name(RESOURCES[0]).open(encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file):
        EXEMPLARS.setdefault(row["way"], []).append(row)
WRITING = Decoding(max_new_tokens=64, stop=("\n",))  # greedy


def augmentation_prompt(way: str, question: str, taught: bool) -> str:
    """The text of a prompt; `taught` says whether the model is pretrained on documents of this way.

    An exemplar that has the question itself is left out, because it might give the answer away.
    """
    shown = [] if taught else [row for row in EXEMPLARS[way] if question_key(row["question"]) != question_key(question)]
    whole = [document(way, row["question"], row["written"], row["answer"]) for row in shown]
    return "\n".join([*whole, head(way, question)])
