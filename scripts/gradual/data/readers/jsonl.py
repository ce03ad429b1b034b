"""Question-answer datasets of a user: train.jsonl, dev.jsonl and test.jsonl, with one JSON object per line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.facts import make_table
from gradual.data.readers.question_types import question_type
from gradual.data.readers.raw import RawFile, check_answers, check_object, check_text, find, parse_json, require
from gradual.ground.errors import InputError

KEYS = ("question", "answer", "answers", "type", "relation", "subject")


def read(source: Path, *, type_from: str | None) -> pd.DataFrame:
    """The facts of train.jsonl, which must exist, and of dev.jsonl and test.jsonl if they exist.

    A line has these keys:
    `question`;
    `answer` or `answers`: a text, a list of texts (NQ-open), or {"value", "aliases"} (TriviaQA), which becomes the value
    and then the other distinct aliases;
    `type` or `relation`, which may be missing if `type_from` declares the type;
    `subject`, which may be missing.
    Other keys and blank lines are skipped. Raises InputError on any other line.
    """
    files = find(source, r"(train|dev|test)\.jsonl", "train.jsonl, and dev.jsonl and test.jsonl if you have them")
    if "train.jsonl" not in files:
        raise InputError(source, "has no train.jsonl", "this file (dataset.carve can take dev and test out of train)")
    return make_table(row for file in files.values() for row in _rows(file, type_from))


def _rows(file: RawFile, type_from: str | None) -> Iterator[dict[str, Any]]:
    label = file.label
    lines = [(i, line) for i, line in enumerate(file.text().split("\n"), 1) if line.strip()]
    if not lines:
        raise InputError(label, "holds no facts", "one JSON object per line")
    for number, line in lines:
        row = check_object(parse_json(line, label, number), label, number, "an object with question and answer")
        question = check_text(require(row, "question", label, number, KEYS), label, number, "question")
        answers = _answers(row, label, number)
        kind = _either(row, "relation", "type", label, number)
        relation = (
            check_text(row[kind], label, number, kind) if kind else question_type(question, type_from, label, number)
        )
        subject = row.get("subject")
        yield {
            "split": file.path.stem,
            "relation": relation,
            "subject": check_text(subject, label, number, "subject") if subject not in (None, "") else "",
            "question": question,
            "answers": answers,
        }


def _either(row: dict[str, Any], first: str, second: str, file: str, number: int) -> str | None:
    """Which of two keys the row has. Raises InputError where it has both."""
    if first in row and second in row:
        raise InputError(file, f"has both {first} and {second}", "one of them", row=number, key=second)
    return first if first in row else second if second in row else None


def _answers(row: dict[str, Any], file: str, number: int) -> list[str]:
    key = _either(row, "answer", "answers", file, number) or "answer"
    value = require(row, key, file, number, KEYS)
    if isinstance(value, str):
        return [check_text(value, file, number, key)]
    if isinstance(value, dict):
        aliases = value.get("aliases") or []
        if "value" not in value or not isinstance(aliases, list):
            expected = "a value (a text) and aliases (a list of texts)"
            raise InputError(file, f"an object with the keys {', '.join(value)}", expected, row=number, key=key)
        return list(dict.fromkeys(check_answers([value["value"], *aliases], file, number, key)))
    return check_answers(value, file, number, key)
