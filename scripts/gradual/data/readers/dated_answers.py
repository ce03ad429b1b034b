"""A user's file of dated answers: the answers that facts come to have after their own.

The file has a row per answer: CSV, TSV, Parquet, Arrow, a JSON list or JSON lines, also compressed. A row names its fact by
its question or its fact_id. It says from when on the answer is valid, by a date or by the number of a revision.
"""

import logging
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from gradual.data.readers.named_facts import cell, facts_by_question, has, text
from gradual.data.readers.raw import TABLES, RawFile, each, members
from gradual.data.readers.records import as_object, rows_of
from gradual.data.revisions import REVISION_COLUMNS
from gradual.ground.errors import InputError, together
from gradual.ground.normal_form import folded, normal_form, question_key

log = logging.getLogger("gradual")
COLUMNS = ("fact_id", "question", "date", "revision", "answer")  # the default names of the columns
DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
LEFT_OUT = "dataset.relations, max_facts and single_answer leave facts out"


class _Dated(NamedTuple):
    """An answer, its fact, its place, and its date or its revision's number."""

    file: RawFile
    row: int
    fact_id: str
    when: str | int
    answer: str

    def refused(self, key: str, problem: str, expected: str) -> InputError:
        return InputError(self.file.label, problem, expected, row=self.row, key=key)


def read_dated_answers(source: Path, columns: Mapping[str, str], facts: pd.DataFrame) -> pd.DataFrame:
    """The revisions of train facts, from 1 on (REVISION_COLUMNS).

    `columns` are the names of columns that are not as in COLUMNS. The dates of the file in their order are the revisions 1,
    2, ...; they all have one form: 2024, 2024-05 or 2024-05-31. Numbers of revisions have no gap. An answer that equals the
    one before it in normal form is no revision and is left out, and so are the facts of other splits than train. Raises
    InputError, with file, row and key, for rows that cannot be used.
    """
    named = {key: columns.get(key, key) for key in COLUMNS}
    files = [file for file in members(source) if file.format in TABLES]
    if not files:
        raise InputError(source, "holds none of the files", f"files that end in {', '.join(TABLES)}")
    ids, asked = set(facts["fact_id"]), facts_by_question(facts)

    def dated(number: int, placed: tuple[RawFile, Any]) -> _Dated:
        file, row = placed[0], as_object(placed[1], placed[0], number)
        fact_id = _fact(row, named, file, number, ids, asked)
        return _Dated(file, number, fact_id, _when(row, named, file, number), text(row, named["answer"], file, number))

    found = each(((number, (file, row)) for file in files for number, row in rows_of(file)), dated)
    numbers = _numbered(found, named)
    _check_once(found, named)
    train = facts[facts["split"] == "train"].set_index("fact_id")["answers"].str[0].to_dict()
    rows, overlapping = [], 0
    valid = dict(train)
    for one in sorted(found, key=lambda one: (one.fact_id, numbers[one.when])):
        if one.fact_id in train and normal_form(one.answer) != normal_form(valid[one.fact_id]):
            new, old = folded(one.answer), folded(valid[one.fact_id])
            overlapping += new in old or old in new
            rows.append((one.fact_id, numbers[one.when], one.answer))
            valid[one.fact_id] = one.answer
    log.info("%d dated answers, %d revisions of train facts", len(found), len(rows))
    if overlapping:
        log.warning("%d revisions contain the answer before or are contained in it: scoring may take both", overlapping)
    if not rows:
        expected = "an answer that is not the fact's own"
        raise InputError(source, "changes no answer of a train fact", expected, key=named["answer"])
    return pd.DataFrame(rows, columns=list(REVISION_COLUMNS))


def _fact(
    row: dict[str, Any],
    named: Mapping[str, str],
    file: RawFile,
    number: int,
    ids: set[str],
    asked: dict[str, list[str]],
) -> str:
    """The fact of a row."""
    if has(row, named["fact_id"]):
        fact_id = text(row, named["fact_id"], file, number)
        if fact_id not in ids:
            expected = f"the id of a fact of the study ({LEFT_OUT})"
            raise InputError(file.label, f"{fact_id!r}", expected, row=number, key=named["fact_id"])
        return fact_id
    question = str(cell(row, named["question"], file, number))
    there = asked.get(question_key(question), [])
    if len(there) != 1:
        expected = f"the question of a fact of the study ({LEFT_OUT})"
        if there:
            expected = f"the {named['fact_id']} of one of the {len(there)} facts with this question: {', '.join(there)}"
        raise InputError(file.label, f"{question!r}", expected, row=number, key=named["question"])
    return there[0]


def _when(row: dict[str, Any], named: Mapping[str, str], file: RawFile, number: int) -> str | int:
    """The date of a row, as a text whose order is that of time, or the number of its revision."""
    given = [key for key in ("date", "revision") if has(row, named[key])]
    if len(given) != 1:
        problem = "has neither a date nor a revision" if not given else "has both a date and a revision"
        expected = f"one of {named['date']} and {named['revision']}"
        raise InputError(file.label, problem, expected, row=number, key=named["date"])
    [kind] = given
    value = cell(row, named[kind], file, number)
    if isinstance(value, date):
        value = value.isoformat()[:10]
    written = str(value).strip()
    if kind == "revision":
        if not re.fullmatch(r"[1-9]\d{0,5}", written):
            expected = "an integer from 1, because revision 0 is the fact's own answer"
            raise InputError(file.label, f"{value!r}", expected, row=number, key=named[kind])
        return int(written)
    try:
        if not DATE.fullmatch(written):
            raise ValueError
        date.fromisoformat(written + "-01-01"[len(written) - 4 :])
    except ValueError as error:
        expected = "a date: 2024, 2024-05 or 2024-05-31"
        raise InputError(file.label, f"{value!r}", expected, row=number, key=named[kind]) from error
    return written


def _numbered(found: list[_Dated], named: Mapping[str, str]) -> dict[str | int, int]:
    """The number of the revision that each date or number of the file stands for."""
    first = found[0]
    key = named["revision" if isinstance(first.when, int) else "date"]
    faults = []
    for one in found:
        if type(one.when) is not type(first.when):
            faults.append(one.refused(key, f"has no {key}, but row {first.row} has", "dates alone, or numbers alone"))
        elif isinstance(one.when, str) and len(one.when) != len(str(first.when)):
            faults.append(one.refused(key, f"{one.when!r}", f"a date of the form of {first.when!r} in row {first.row}"))
    if faults:
        raise together(faults)
    order = sorted({one.when for one in found}, key=str if isinstance(first.when, str) else int)
    if isinstance(first.when, int) and order != list(range(1, len(order) + 1)):
        gap = next(number for number, there in enumerate(order, 1) if there != number)
        last = next(one for one in found if one.when == order[-1])
        raise last.refused(key, f"{last.when}, but there is no revision {gap}", "the revisions 1, 2, ... without a gap")
    return {when: number for number, when in enumerate(order, 1)}


def _check_once(found: list[_Dated], named: Mapping[str, str]) -> None:
    """Raise InputError where a fact has two answers at one time."""
    seen: dict[tuple[str, str | int], _Dated] = {}
    faults = []
    for one in found:
        other = seen.setdefault((one.fact_id, one.when), one)
        if other is not one:
            problem = f"a second answer of its fact at {one.when}, as in row {other.row}"
            faults.append(one.refused(named["answer"], problem, "one answer of a fact at a time"))
    if faults:
        raise together(faults)
