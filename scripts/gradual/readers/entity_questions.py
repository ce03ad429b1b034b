"""EntityQuestions (Sciavolino et al. 2021): dataset/<split>/<relation>.<split>.json, lists of {question, answers}."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.errors import InputError
from gradual.facts import make_table
from gradual.readers.rows import check_object, check_text, check_texts, parse_json
from gradual.readers.source import Source, open_source

TEMPLATES = {
    "P17": "Which country is {} located in?",
    "P19": "Where was {} born?",
    "P20": "Where did {} die?",
    "P26": "Who is {} married to?",
    "P36": "What is the capital of {}?",
    "P40": "Who is {}'s child?",
    "P50": "Who is the author of {}?",
    "P69": "Where was {} educated?",
    "P106": "What kind of work does {} do?",
    "P112": "Who founded {}?",
    "P127": "Who owns {}?",
    "P131": "Where is {} located?",
    "P136": "What type of music does {} play?",
    "P159": "Where is the headquarter of {}?",
    "P170": "Who was {} created by?",
    "P175": "Who performed {}?",
    "P176": "Which company is {} produced by?",
    "P264": "What music label is {} represented by?",
    "P276": "Where is {} located?",
    "P407": "Which language was {} written in?",
    "P413": "What position does {} play?",
    "P495": "Which country was {} created in?",
    "P740": "Where was {} founded?",
    "P800": "What is {} famous for?",
}
SPLITS = ("train", "dev", "test")
FILE = re.compile(r"(?:.*/)?(train|dev|test)/(P\d+)\.(train|dev|test)\.json")


def read(source: Path, *, type_from: str | None = None) -> pd.DataFrame:
    """The facts of the folder or archive that holds dataset/, or of dataset/ itself.

    The relation is the file's name, the subject what fills the relation's template. Answers are kept as they stand, with
    repetitions. `type_from` has no use here: every question has a relation. Raises InputError where a split or one of its
    relations is missing, or a row is malformed or does not match its template.
    """
    with open_source(source) as raw:
        files = _files(raw)
        return make_table(row for key, name in sorted(files.items()) for row in _rows(raw, name, *key))


def subject_of(question: str, relation: str) -> str:
    """The subject that fills the relation's template; "" where the question does not match it."""
    before, after = TEMPLATES[relation].split("{}")
    if not (question.startswith(before) and question.endswith(after)):
        return ""
    return question[len(before) : len(question) - len(after)].strip()


def _files(raw: Source) -> dict[tuple[str, str], str]:
    """The file of each split and relation."""
    files: dict[tuple[str, str], str] = {}
    for name in raw.names:
        match = FILE.fullmatch(name)
        if not match:
            continue
        folder, relation, split = match.groups()
        if folder != split:
            raise InputError(
                raw.label(name), f"a file of split {split} in folder {folder}", f"{relation}.{folder}.json"
            )
        if relation not in TEMPLATES:
            raise InputError(raw.label(name), f"unknown relation {relation!r}", f"one of {', '.join(TEMPLATES)}")
        if (split, relation) in files:
            raise InputError(raw.label(name), f"{files[split, relation]} is there too", "one dataset folder")
        files[split, relation] = name
    relations = {relation for _, relation in files}
    for split in SPLITS:
        missing = sorted(relation for relation in relations if (split, relation) not in files)
        if missing or not relations:
            expected = f"dataset/{split}/<relation>.{split}.json for each of the {len(relations) or 24} relations"
            raise InputError(raw.path, f"split {split!r} has no file of {', '.join(missing) or 'any'}", expected)
    return files


def _rows(raw: Source, name: str, split: str, relation: str) -> Iterator[dict[str, Any]]:
    file = raw.label(name)
    values = parse_json(raw.text(name), file)
    if not isinstance(values, list) or not values:
        raise InputError(file, "holds no list of rows", "a JSON list of {question, answers}")
    for number, value in enumerate(values, 1):
        row = check_object(value, file, number)
        question = check_text(row.get("question"), file, number, "question")
        answers = check_texts(row.get("answers"), file, number, "answers")
        subject = subject_of(question, relation)
        if not subject:
            expected = f"{relation}'s template {TEMPLATES[relation].format('<subject>')!r}"
            raise InputError(file, f"the question is {question!r}", expected, row=number, key="question")
        yield {"split": split, "relation": relation, "subject": subject, "question": question, "answers": answers}
