"""WikiQA (Yang et al. 2015): questions with the answer phrases of their sentences, and the questions of each split."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from gradual.errors import InputError
from gradual.facts import make_table
from gradual.readers.rows import check_text, question_type
from gradual.readers.source import Source, open_source

SPLITS = ("train", "dev", "test")
PHRASES = "WikiQASent.pos.ans.tsv"
SENTENCE_COLUMNS = ["QuestionID", "Question", "DocumentID", "DocumentTitle", "SentenceID", "Sentence"]
PHRASE_COLUMNS = ["AnswerPhrase1", "AnswerPhrase2", "AnswerPhrase3"]
NO_ANSWER = "NO_ANS"  # how an annotator says that a sentence has no phrase

log = logging.getLogger("gradual")


@dataclass
class _Question:
    """A question of the phrase file, its first row, and its distinct phrases in the file's order."""

    text: str
    row: int
    phrases: list[str] = field(default_factory=list)


def read(source: Path, *, type_from: str | None) -> pd.DataFrame:
    """The questions that have an answer phrase; their distinct phrases are the answers, the first one first.

    A question belongs to the split whose WikiQA-<split>.tsv lists its id. One that none of the files that are there
    lists belongs to train: with the dev file alone, train is every question that is not in dev, and there is no test
    split until one is carved. Raises InputError where the phrase file is missing, a row is malformed, or a question has
    two texts or two splits.
    """
    with open_source(source) as raw:
        questions = _questions(raw)
        splits = _splits(raw)
        file = raw.label(raw.require(PHRASES))
    rows = [
        {
            "split": splits.get(key, "train"),
            "relation": question_type(question.text, type_from, file, question.row),
            "subject": "",
            "question": question.text,
            "answers": question.phrases,
        }
        for key, question in questions.items()
        if question.phrases
    ]
    listed = ", ".join(sorted(set(splits.values()))) or "no split"
    log.info("WikiQA: %d questions, %d with a phrase; %s listed, the rest is train", len(questions), len(rows), listed)
    return make_table(rows)


def count_questions(source: Path) -> tuple[int, int]:
    """Questions in the phrase file, and those of them that have a phrase."""
    with open_source(source) as raw:
        questions = _questions(raw)
    return len(questions), sum(bool(question.phrases) for question in questions.values())


def _questions(raw: Source) -> dict[str, _Question]:
    """The questions of the phrase file by id."""
    name = raw.require(PHRASES)
    file = raw.label(name)
    questions: dict[str, _Question] = {}
    for number, cells in _table(raw, name, SENTENCE_COLUMNS + PHRASE_COLUMNS):
        key = check_text(cells[0], file, number, "QuestionID")
        text = check_text(cells[1], file, number, "Question")
        question = questions.setdefault(key, _Question(text, number))
        if question.text != text:
            problem = f"{key} is {text!r} here and {question.text!r} in row {question.row}"
            raise InputError(file, problem, "one text per question", row=number, key="Question")
        for column, cell in zip(PHRASE_COLUMNS, cells[len(SENTENCE_COLUMNS) :], strict=True):
            if cell.strip() not in ("", NO_ANSWER):
                phrase = check_text(cell, file, number, column)
                if phrase not in question.phrases:
                    question.phrases.append(phrase)
    return questions


def _splits(raw: Source) -> dict[str, str]:
    """The split of each question id that the split files list."""
    splits: dict[str, str] = {}
    for split in SPLITS:
        name = raw.find(f"WikiQA-{split}.tsv")
        if name is None:
            continue
        file = raw.label(name)
        for number, cells in _table(raw, name, [*SENTENCE_COLUMNS, "Label"]):
            key = check_text(cells[0], file, number, "QuestionID")
            if splits.setdefault(key, split) != split:
                problem = f"{key} is in split {splits[key]!r} too"
                raise InputError(file, problem, "one split per question", row=number, key="QuestionID")
    return splits


def _table(raw: Source, name: str, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines of a tab-separated file below its header, with their numbers; quotes mean nothing in it."""
    file = raw.label(name)
    lines = raw.text(name).removesuffix("\n").split("\n")
    header = lines[0].removesuffix("\r").split("\t")
    if header != columns:
        raise InputError(file, f"the header is {header}", f"the columns {', '.join(columns)}", row=1)
    for number, line in enumerate(lines[1:], 2):
        cells = line.removesuffix("\r").split("\t")
        if len(cells) != len(columns):
            raise InputError(file, f"has {len(cells)} cells", f"{len(columns)}, separated by tabs", row=number)
        yield number, cells
