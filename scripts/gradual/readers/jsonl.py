"""Question-answer datasets of a user: train.jsonl, dev.jsonl and test.jsonl, one JSON object a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.errors import InputError
from gradual.facts import make_table
from gradual.readers.rows import check_object, check_text, check_texts, parse_json, question_type
from gradual.readers.source import Source, open_source

SPLITS = ("train", "dev", "test")


def read(source: Path, *, type_from: str | None) -> pd.DataFrame:
    """The facts of train.jsonl, which must be there, and of dev.jsonl and test.jsonl where they are.

    Keys of a line: `question`; `answer` or `answers`, a text, a list of texts (NQ-open) or {"value", "aliases"}
    (TriviaQA: the value, then the other distinct aliases); `type` or `relation`, without which `type_from` declares
    one; `subject`. Other keys and blank lines are skipped. Raises InputError on any other line.
    """
    with open_source(source) as raw:
        raw.require("train.jsonl")
        return make_table(row for split in SPLITS for row in _rows(raw, split, type_from))


def _rows(raw: Source, split: str, type_from: str | None) -> Iterator[dict[str, Any]]:
    name = raw.find(f"{split}.jsonl")
    if name is None:
        return
    file = raw.label(name)
    empty = True
    for number, line in enumerate(raw.text(name).split("\n"), 1):
        if not line.strip():
            continue
        empty = False
        row = check_object(parse_json(line, file, number), file, number)
        question = check_text(row.get("question"), file, number, "question")
        answers = _answers(row, file, number)
        key = _one_of(row, "type", "relation", file, number)
        yield {
            "split": split,
            "relation": check_text(row[key], file, number, key)
            if key
            else question_type(question, type_from, file, number),
            "subject": check_text(row["subject"], file, number, "subject") if row.get("subject") else "",
            "question": question,
            "answers": answers,
        }
    if empty:
        raise InputError(file, "holds no rows", "one JSON object a line")


def _one_of(row: dict[str, Any], first: str, second: str, file: object, number: int) -> str | None:
    """Which of two keys the row has; InputError where it has both."""
    found = [key for key in (first, second) if key in row]
    if len(found) > 1:
        raise InputError(file, f"has {first!r} and {second!r}", "one of the two", row=number, key=second)
    return found[0] if found else None


def _answers(row: dict[str, Any], file: object, number: int) -> list[str]:
    key = _one_of(row, "answer", "answers", file, number)
    if key is None:
        raise InputError(file, "there is no answer", "the key 'answer' or 'answers'", row=number, key="answers")
    value = row[key]
    if isinstance(value, str):
        return [check_text(value, file, number, key)]
    if isinstance(value, dict):
        first = check_text(value.get("value"), file, number, f"{key}.value")
        aliases = value.get("aliases") or []
        others = check_texts(aliases, file, number, f"{key}.aliases") if aliases else []
        return list(dict.fromkeys([first, *others]))
    return check_texts(value, file, number, key)
