"""Datasets whose files have a row per question: CSV, TSV, Parquet, Arrow, a JSON list or JSON lines, also compressed.

The config's `columns` say where a row has its question and so on, and `files` where each split is. A layout has both for a
known dataset, so that its name is enough. The layout of JSON lines of your own and of NQ-open (question, answer) is the
default.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.facts import SPLITS, make_table
from gradual.data.readers.question_types import question_type
from gradual.data.readers.raw import TABLES, RawFile, Reader, check_text, each, members
from gradual.data.readers.records import MISSING, as_object, held_in, rows_of, value_at
from gradual.ground.errors import InputError
from gradual.ground.normal_form import normal_form

Patterns = Mapping[str, str | Sequence[str]]  # of file names, by split
Paths = tuple[str, ...]  # of one value, or of several that belong together (an answer and its aliases)
# The names that a row may give its values; a row has one of them.
COLUMNS: dict[str, tuple[Paths, ...]] = {
    "question": (("question",),),
    "answers": (("answer",), ("answers",)),
    "relation": (("relation",), ("type",)),
    "subject": (("subject",),),
    "split": (("split",),),
}
SPLIT_WORDS = {split: split for split in SPLITS} | {"training": "train"}
SPLIT_WORDS |= dict.fromkeys(("valid", "validation", "val"), "dev")
SPLIT_IN_NAME = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_WORDS)})(?![a-z])")
SHARD = re.compile(r"-(\d+)-of-(\d+)")
WITHOUT_ROWS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")  # of the hub's library
NAME_THEM = "dataset.files, with the file of each split"


@dataclass(frozen=True)
class Layout:
    """Where a dataset's files have what makes a fact.

    `columns` replace those of COLUMNS. Files of the split `skipped` are not read. `prepare` makes a row with the names of
    COLUMNS of each row, and raises ValueError where it cannot.
    """

    columns: Mapping[str, tuple[Paths, ...]] = field(default_factory=dict)
    skipped: str = ""
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict


def reader(layout: Layout) -> Reader:
    """The reader of a layout."""
    return Reader(partial(find, skipped=layout.skipped), partial(read, layout=layout))


def find(source: Path, *, files: Patterns | None = None, skipped: str = "") -> list[RawFile]:
    """The files of a source that have rows, each with its split; without a split, its rows are train or say theirs.

    `files` are patterns of names by split. Without it, the split is in a file's name, else in its folder's name. A file of
    no split is read if no other file has one. Raises InputError where files are missing, or where it is not clear which
    are meant.
    """
    tables = [file for file in members(source) if file.format in TABLES and file.path.name not in WITHOUT_ROWS]
    if files:
        return _named(source, tables, files)
    if source.is_file() and tables and tables[0].label == str(source):
        return tables
    tables = [replace(file, split=_split_of(file)) for file in tables]
    tables = [file for file in tables if not skipped or file.split != skipped]
    found = [file for file in tables if file.split] or tables
    if not found:
        raise InputError(source, "holds none of the files", f"files that end in {', '.join(TABLES)}")
    splits = dict.fromkeys(file.split for file in found)
    for split in splits:
        _check_one(source, [file for file in found if file.split == split], split or "train")
    if not {"", "train"} & {*splits}:
        there = ", ".join(str(file.path) for file in found)
        expected = f"one (dataset.carve can take dev and test out of train), or {NAME_THEM}"
        raise InputError(source, f"has no file of the split 'train', but {there}", expected)
    return found


def _split_of(file: RawFile) -> str:
    for name in (file.path.name, file.path.parent.name):
        if words := SPLIT_IN_NAME.findall(name.lower()):
            return SPLIT_WORDS[words[-1]]
    return ""


def _check_one(source: Path, files: list[RawFile], split: str) -> None:
    """Raise InputError unless the files are one file or all shards of one."""
    if len({re.sub(r"\d+", "#", str(file.path)) for file in files}) > 1:
        names = ", ".join(str(file.path) for file in files[:5]) + (", …" if len(files) > 5 else "")
        raise InputError(source, f"holds several files that may be {split}: {names}", NAME_THEM, key="dataset.files")
    shards = [tuple(map(int, found.groups())) for file in files if (found := SHARD.search(file.path.name))]
    missing = sorted(set(range(shards[0][1])) - {number for number, _ in shards}) if shards else []
    if missing:
        problem = f"lacks shards of {split}: {', '.join(f'{number:05d}' for number in missing[:5])}"
        raise InputError(source, problem, f"all {shards[0][1]} shards")


def _named(source: Path, tables: list[RawFile], files: Patterns) -> list[RawFile]:
    found: dict[str, RawFile] = {}
    for split, patterns in files.items():
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            matched = [f for f in tables if fnmatch(str(f.path), pattern) or fnmatch(f.path.name, pattern)]
            if not matched:
                near = difflib.get_close_matches(pattern, [str(file.path) for file in tables], 3, cutoff=0.3)
                expected = (
                    f"the name of a file there, such as {', '.join(near)}" if near else "the name of a file there"
                )
                raise InputError(source, f"has no file {pattern!r}", expected, key=f"dataset.files.{split}")
            for file in matched:
                if found.setdefault(str(file.path), replace(file, split=split)).split != split:
                    raise InputError(source, f"{file.path} is of two splits", "one", key=f"dataset.files.{split}")
    return list(found.values())


def read(
    source: Path,
    *,
    type_from: str | None,
    files: Patterns | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    layout: Layout,
) -> pd.DataFrame:
    """The facts of a source's rows. `columns` say where a row has its values, and replace those of the layout.

    Numbers are read as texts. A text that holds a list is read as the list. Answers are distinct in their normal form. A
    question without a relation has the type that `type_from` declares.
    """
    given = {key: ((value,) if isinstance(value, str) else tuple(value),) for key, value in (columns or {}).items()}
    return facts_of(find(source, files=files, skipped=layout.skipped), layout, type_from, given)


def facts_of(
    found: Sequence[RawFile], layout: Layout, type_from: str | None, given: Mapping[str, tuple[Paths, ...]]
) -> pd.DataFrame:
    """The facts of files; `given` are the columns that the config names.

    Raises InputError with all rows that cannot be used, up to twenty.
    """
    where = {**COLUMNS, **layout.columns, **given}

    def fact(number: int, placed: tuple[RawFile, Any]) -> dict[str, Any]:
        file, row = placed
        try:
            prepared = layout.prepare(as_object(row, file, number))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(file.label, str(error), "the layout of the dataset", row=number) from error
        return _Row(prepared, file, number, where, frozenset(given)).fact(type_from)

    return make_table(each(((number, (file, row)) for file in found for number, row in rows_of(file)), fact))


@dataclass(frozen=True)
class _Row:
    """A row, its file and number, where its values are, and which of these places the config names."""

    row: dict[str, Any]
    file: RawFile
    number: int
    where: Mapping[str, tuple[Paths, ...]]
    given: frozenset[str]

    def fact(self, type_from: str | None) -> dict[str, Any]:
        question, relation = self.line("question"), self.optional("relation")
        return {
            "split": self.split(),
            "relation": relation or question_type(question, type_from, self.file.label, self.number),
            "subject": self.optional("subject", empty=True) or "",
            "question": question,
            "answers": self.answers(),
        }

    def refused(self, problem: str, expected: str, key: str | None = None) -> InputError:
        return InputError(self.file.label, problem, expected, row=self.number, key=key)

    def paths(self, key: str) -> Paths | None:
        """The paths at which the row has the value; None where it has none. Raises InputError where it has two."""
        there = [paths for paths in self.where[key] if value_at(self.row, paths[0]) is not MISSING]
        if len(there) > 1:
            problem = f"has both {there[0][0]} and {there[1][0]}"
            raise self.refused(problem, f"one of them, or dataset.columns.{key}", there[1][0])
        return there[0] if there else None

    def needed(self, key: str) -> Paths:
        if paths := self.paths(key):
            return paths
        name = self.where[key][0][0]
        known = [path for paths in self.where.values() for path in sum(paths, ())]
        names = [*self.row, *(f"{k}.{inner}" for k, v in self.row.items() if isinstance(v, Mapping) for inner in v)]
        near = [other for other in difflib.get_close_matches(name, names, 1) if other not in known]
        meant = f" (there is {near[0]!r})" if near else ""
        listed = ", ".join(map(str, names[:12]))
        raise self.refused(
            f"is missing{meant}",
            f"it in every row, or its name in dataset.columns.{key} (reader: table); the row has {listed}",
            name,
        )

    def line(self, key: str) -> str:
        """A text in one line: a line break in it becomes a space."""
        path = self.needed(key)[0]
        value = self.plain(value_at(self.row, path), path)
        value = re.sub(r"\s*[\r\n]+\s*", " ", value.strip()) if isinstance(value, str) else value
        return check_text(value, self.file.label, self.number, path)

    def optional(self, key: str, empty: bool = False) -> str | None:
        """A text that the row may lack; `empty` says that it may be empty."""
        if (paths := self.needed(key) if key in self.given else self.paths(key)) is None:
            return None
        value = value_at(self.row, paths[0])
        return None if empty and value in (None, "") else self.line(key)

    def split(self) -> str:
        """The split that the row says, else that of its file, else train."""
        if self.file.split and "split" not in self.given:
            return self.file.split
        if (word := self.optional("split")) is None:
            return "train"
        if (split := SPLIT_WORDS.get(word.lower())) is None:
            raise self.refused(f"{word!r}", f"one of {', '.join(SPLIT_WORDS)}", self.needed("split")[0])
        return split

    def answers(self) -> list[str]:
        """The distinct answers: that of the first path, and then its aliases at the others."""
        first, *aliases = self.needed("answers")
        found = self.texts(value_at(self.row, first), first)
        if not found:
            raise self.refused("no answer", "a list of at least one answer", first)
        for path in aliases:
            value = value_at(self.row, path)
            found += [] if value in (MISSING, None, "") else self.texts(value, path)
        distinct: dict[str, str] = {}
        for answer in found:
            distinct.setdefault(normal_form(answer), answer)
        return list(distinct.values())

    def texts(self, value: Any, path: str) -> list[str]:
        """The answers in a value: a text, a number, a list of these, or an object with a value and its aliases."""
        if isinstance(value, str):
            try:
                value = value if (held := held_in(value)) is None else held
            except ValueError as error:
                raise self.refused(f"{value!r} is {error}", "a list, or one answer", path) from error
        if isinstance(value, Mapping):
            aliases = value.get("aliases") or []
            if "value" not in value or not isinstance(aliases, list):
                expected = "a value (a text) and aliases (a list of texts)"
                raise self.refused(f"an object with the keys {', '.join(value)}", expected, path)
            value = [value["value"], *aliases]
        if isinstance(value, list):
            return [text for item in value for text in self.texts(item, path)]
        return [check_text(self.plain(value, path), self.file.label, self.number, path)]

    def plain(self, value: Any, path: str) -> Any:
        """A number or a date as the text that people write. Other values are not changed."""
        if isinstance(value, float):
            if value != value or abs(value) == float("inf"):
                raise self.refused(f"{value}", "a text or a number", path)
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return str(value) if number or (isinstance(value, date) and not isinstance(value, datetime)) else value


READER = reader(Layout())
