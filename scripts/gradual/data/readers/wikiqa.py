"""WikiQA (Yang et al. 2015): one file has questions with answer phrases, and others list the questions of each split."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from gradual.data.facts import make_table
from gradual.data.readers.question_types import question_type
from gradual.data.readers.raw import RawFile, Reader, check_text, each
from gradual.data.readers.raw import find as find_named
from gradual.ground.errors import InputError

SPLITS = ("train", "dev", "test")
PHRASES = "WikiQASent.pos.ans.tsv"
SENTENCE_COLUMNS = ["QuestionID", "Question", "DocumentID", "DocumentTitle", "SentenceID", "Sentence"]
PHRASE_COLUMNS = ["AnswerPhrase1", "AnswerPhrase2", "AnswerPhrase3"]
NO_ANSWER = "NO_ANS"  # an annotator's mark for a sentence without a phrase

log = logging.getLogger("gradual")


@dataclass
class _Question:
    """A question of the phrase file: its first row, its document's title, and its distinct phrases in file order."""

    text: str
    row: int
    title: str
    phrases: list[str] = field(default_factory=list)


def read(source: Path, *, type_from: str | None) -> pd.DataFrame:
    """The questions that have an answer phrase. Their distinct phrases are the answers, in the order of the file.

    The subject is the title of the question's Wikipedia page. A question belongs to the split whose WikiQA-<split>.tsv
    lists its id, and to train if no such file lists it. For example, if the dev file is the only one, train has every
    question that is not in dev, and there is no test split until one is carved. Raises InputError where the phrase file
    is missing or has no phrase, a row is malformed, or a question has two texts or two splits.
    """
    files = _files(source)
    file = files[PHRASES].label
    questions = _questions(files[PHRASES])
    splits = _splits(files)
    rows = [
        {
            "split": splits.get(key, "train"),
            "relation": question_type(question.text, type_from, file, question.row),
            "subject": question.title,
            "question": question.text,
            "answers": question.phrases,
        }
        for key, question in questions.items()
        if question.phrases
    ]
    if not rows:
        raise InputError(file, "has no question with an answer phrase", "at least one")
    listed = ", ".join(split for split in SPLITS if f"WikiQA-{split}.tsv" in files) or "no"
    log.info("WikiQA: %d questions, %d with a phrase; files of %s split", len(questions), len(rows), listed)
    return make_table(rows)


def find(source: Path) -> list[RawFile]:
    """The phrase file, and the files of splits that are there."""
    return list(_files(source).values())


def count_questions(source: Path) -> tuple[int, int]:
    """The numbers of questions in the phrase file, and of those that have a phrase."""
    questions = _questions(_files(source)[PHRASES])
    return len(questions), sum(bool(question.phrases) for question in questions.values())


def _files(source: Path) -> dict[str, RawFile]:
    files = find_named(
        source, rf"WikiQA-({'|'.join(SPLITS)})\.tsv|WikiQASent\.pos\.ans\.tsv", f"{PHRASES}, WikiQA-<split>.tsv"
    )
    if PHRASES not in files:
        raise InputError(source, f"has no {PHRASES}", "the file of answer phrases")
    return files


def _questions(file: RawFile) -> dict[str, _Question]:
    """The questions of the phrase file by id."""
    questions: dict[str, _Question] = {}

    def add(number: int, cells: list[str]) -> None:
        key = check_text(cells[0], file.label, number, "QuestionID")
        text = check_text(cells[1], file.label, number, "Question")
        question = questions.setdefault(key, _Question(text, number, cells[3].strip()))
        if question.text != text:
            expected = f"{question.text!r}, as before in row {question.row}"
            raise InputError(file.label, f"{key} is {text!r}", expected, row=number, key="Question")
        for column, cell in zip(PHRASE_COLUMNS, cells[len(SENTENCE_COLUMNS) :], strict=True):
            if cell.strip() not in ("", NO_ANSWER):
                phrase = check_text(cell, file.label, number, column)
                if phrase not in question.phrases:
                    question.phrases.append(phrase)

    _for_rows(file, SENTENCE_COLUMNS + PHRASE_COLUMNS, add)
    return questions


def _splits(files: dict[str, RawFile]) -> dict[str, str]:
    """The split of each question id that the split files list."""
    splits: dict[str, str] = {}
    for split in SPLITS:
        if file := files.get(f"WikiQA-{split}.tsv"):
            _for_rows(file, [*SENTENCE_COLUMNS, "Label"], partial(_add_split, splits, split, file.label))
    return splits


def _add_split(splits: dict[str, str], split: str, label: str, number: int, cells: list[str]) -> None:
    key = check_text(cells[0], label, number, "QuestionID")
    if splits.setdefault(key, split) != split:
        problem = f"{key} is also in the split {splits[key]!r}"
        raise InputError(label, problem, "one split per question", row=number, key="QuestionID")


def _for_rows(file: RawFile, columns: list[str], use: Callable[[int, list[str]], None]) -> None:
    """Use the cells of each line below the header of a tab-separated file; quotes are plain characters."""
    lines = [line.removesuffix("\r") for line in file.text().removesuffix("\n").split("\n")]
    header = lines[0].split("\t")
    if header != columns:
        raise InputError(file.label, f"has the header {header}", f"the columns {', '.join(columns)}", row=1)

    def whole(number: int, line: str) -> None:
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise InputError(file.label, f"has {len(cells)} cells", f"{len(columns)}, separated by tabs", row=number)
        use(number, cells)

    each(enumerate(lines[1:], 2), whole)


READER = Reader(find, read)
