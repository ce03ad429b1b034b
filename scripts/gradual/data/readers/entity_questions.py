"""EntityQuestions (Sciavolino et al. 2021). Its files dataset/<split>/<relation>.<split>.json list {question, answers}."""

from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.facts import make_table
from gradual.data.readers.raw import (
    RawFile,
    Reader,
    check_answers,
    check_object,
    check_text,
    each,
    parse_json,
    require,
)
from gradual.data.readers.raw import find as find_named
from gradual.ground.errors import InputError

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


def find(source: Path) -> list[RawFile]:
    """The files of a folder or archive that has the folder dataset/, or of dataset/ itself."""
    wanted = "dataset/<split>/<relation>.<split>.json of the splits train, dev and test"
    return list(find_named(source, rf"P\d+\.({'|'.join(SPLITS)})\.json", wanted).values())


def read(source: Path, *, type_from: str | None = None) -> pd.DataFrame:
    """The facts of the files.

    The relation is in the file's name, and the subject is what fills the relation's template. Answers are not changed, and
    repeated ones are kept. `type_from` is not used, because every question has a relation. Raises InputError where a split
    or one of its relations is missing, or where rows are malformed or do not match their template.
    """
    files = find(source)
    _check_complete(source, [file.path.name for file in files])
    return make_table(each(((number, (file, row)) for file in files for number, row in _rows(file)), _fact))


def subject_of(question: str, relation: str) -> str:
    """The subject that fills the relation's template in the question; "" where the question does not match it."""
    before, after = TEMPLATES[relation].split("{}")
    if not (question.startswith(before) and question.endswith(after)):
        return ""
    return question[len(before) : len(question) - len(after)].strip()


def _check_complete(source: Path, names: list[str]) -> None:
    """Raise InputError unless each relation has a file in each split, because a download may be incomplete."""
    present = {tuple(name.split(".")[:2]) for name in names}
    for split in SPLITS:
        if split not in {found for _, found in present}:
            raise InputError(source, f"has no split {split!r}", f"the splits {', '.join(SPLITS)}")
        for relation in sorted({relation for relation, _ in present}):
            if (relation, split) not in present:
                problem = f"has no {relation}.{split}.json"
                raise InputError(source, problem, "the files of a relation in every split")


def _rows(file: RawFile) -> list[tuple[int, Any]]:
    """The rows of a file with their numbers."""
    relation, split, _ = file.path.name.split(".")
    if file.path.parent.name not in ("", split):
        raise InputError(file.label, f"is in the folder {file.path.parent.name!r}", f"the folder {split!r}")
    if relation not in TEMPLATES:
        raise InputError(file.label, f"is of the unknown relation {relation!r}", f"one of {', '.join(TEMPLATES)}")
    rows = parse_json(file.text(), file.label)
    if not isinstance(rows, list) or not rows:
        raise InputError(file.label, "has no rows", "a JSON list of objects with question and answers")
    return list(enumerate(rows, 1))


def _fact(number: int, placed: tuple[RawFile, Any]) -> dict[str, Any]:
    file, value = placed
    relation, split, _ = file.path.name.split(".")
    row = check_object(value, file.label, number, "an object with question and answers")
    question = check_text(require(row, "question", file.label, number), file.label, number, "question")
    answers = check_answers(require(row, "answers", file.label, number), file.label, number, "answers")
    subject = subject_of(question, relation)
    if not subject:
        expected = f"the template {TEMPLATES[relation]!r} of {relation}, filled with a subject"
        raise InputError(file.label, f"{question!r}", expected, row=number, key="question")
    return {"split": split, "relation": relation, "subject": subject, "question": question, "answers": answers}


READER = Reader(find, read)
