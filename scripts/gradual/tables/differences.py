"""The differences between the tables of two results folders of a study, such as the published ones and those made here."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from gradual.data.facts import read_facts
from gradual.ground.errors import InputError
from gradual.ground.files import read_json
from gradual.study.config import with_defaults
from gradual.study.result_files import PROVENANCE, TABLE_CSV, path
from gradual.tables.registry import name_of

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")  # "007" is a text, because a label may be so
FEW = 10  # so many differences are named one by one
MISSING, EXTRA, MOVED = "missing", "extra", "in another order from here on"


class Difference(NamedTuple):
    """A difference between two tables: of one cell, or of a whole row, column or table, where `row` or `column` is empty.

    `change` is by how much the number in a cell grew. It is None where one of the two cells is no number.
    """

    table: str
    row: str
    column: str
    problem: str
    change: float | None = None

    @property
    def place(self) -> str:
        """The table, the row and the column, as far as they have names."""
        named = {"row": self.row, "column": self.column}
        return ", ".join([self.table, *(f"{what} {name!r}" for what, name in named.items() if name)])

    @property
    def of_cell(self) -> bool:
        """Whether it is a difference of one cell."""
        return bool(self.row and self.column)

    def __str__(self) -> str:
        if not self.of_cell:
            return f"{self.place} is {self.problem}"
        return f"{self.place}: {self.problem}" + ("" if self.change is None else f" ({self.change:+.4g})")


def provenance(folder: Path) -> dict[str, Any]:
    """The provenance of a finished study in a results folder. Raises InputError if there is none."""
    return read_json(folder / path(PROVENANCE), "the provenance of a finished study (make tables)")


def differences(expected: Path, found: Path) -> list[Difference]:
    """How the tables of the folder `found` differ from those of the folder `expected`, cell by cell.

    A folder's tables are those that its study shows, because older ones may lie beside them. Numbers are equal if they
    are the same float, and other cells if they are the same text. Raises InputError for a table that cannot be read.
    """
    theirs, ours = _tables(expected), _tables(found)
    whole = [Difference(table, "", "", problem) for table, problem in _members([*theirs], [*ours])]
    shared = [table for table in theirs if table in ours]
    return whole + [each for table in shared for each in _compared(table, _read(theirs[table]), _read(ours[table]))]


def _tables(folder: Path) -> dict[str, Path]:
    """The CSV files of the tables that a study shows, by name, as far as they are there."""
    names = sorted(map(name_of, provenance(folder)["config"]["tables"]["show"]))
    files = {name: folder / path(TABLE_CSV, table=name) for name in names}
    return {name: file for name, file in files.items() if file.is_file()}


def _read(file: Path) -> pd.DataFrame:
    """A table with all its cells as texts."""
    try:
        return pd.read_csv(file, dtype=str, na_filter=False)
    except (OSError, ValueError) as error:
        raise InputError(file, f"cannot be read ({error})", "a table of this study, as CSV") from error


def _members(expected: Sequence[str], found: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What only one of two lists has, and the first name that is in another place among those that both have."""
    yield from ((name, MISSING) for name in expected if name not in found)
    yield from ((name, EXTRA) for name in found if name not in expected)
    both = [name for name in expected if name in found], [name for name in found if name in expected]
    yield from [(theirs, MOVED) for theirs, ours in zip(*both, strict=True) if theirs != ours][:1]


def _compared(table: str, expected: pd.DataFrame, found: pd.DataFrame) -> Iterator[Difference]:
    yield from (Difference(table, "", column, problem) for column, problem in _members([*expected], [*found]))
    columns = [column for column in expected if column in found]
    keys = _keys(expected[columns])
    theirs, ours = _by_name(expected, keys), _by_name(found, keys)
    yield from (Difference(table, row, "", problem) for row, problem in _members([*theirs], [*ours]))
    for row, column in ((row, column) for row in theirs if row in ours for column in columns):
        before, after = theirs[row][column], ours[row][column]
        numbers = [float(cell) for cell in (before, after) if NUMBER.fullmatch(cell)]
        change = numbers[1] - numbers[0] if len(numbers) == 2 else None
        if before != after and change != 0:
            yield Difference(table, row, column, f"{before or 'empty'} -> {after or 'empty'}", change)


def _keys(frame: pd.DataFrame) -> list[str]:
    """The first columns, from the left, that tell the rows apart. Columns that tell no more rows apart are left out."""
    keys: list[str] = []
    told_apart = 1
    for column in frame:
        if told_apart < (more := len(frame[[*keys, column]].drop_duplicates())):
            keys, told_apart = [*keys, column], more
        if told_apart >= len(frame):
            break
    return keys or [*frame.columns[:1]]


def _by_name(frame: pd.DataFrame, keys: list[str]) -> dict[str, dict[str, str]]:
    """The rows by name, which are the cells of the keys. A name's second row has a number, and so on."""
    seen: Counter[str] = Counter()
    rows = {}
    for row in frame.to_dict("records"):
        name = " / ".join(row[key] for key in keys) or "without a name"
        seen[name] += 1
        rows[name if seen[name] == 1 else f"{name} ({seen[name]})"] = row
    return rows


def described(found: Sequence[Difference]) -> list[str]:
    """The differences in lines: each of a few, and of many those of whole parts and for each table the largest change."""
    if len(found) <= FEW:
        return [str(difference) for difference in found]
    whole = [difference for difference in found if not difference.of_cell]
    lines = [str(difference) for difference in whole[:FEW]]
    lines += [f"and {len(whole) - FEW} more rows, columns or tables"] if whole[FEW:] else []
    cells = [difference for difference in found if difference.of_cell]
    for table in dict.fromkeys(difference.table for difference in cells):
        lines.append(f"{table}: {counted([difference for difference in cells if difference.table == table])}")
    return lines


def counted(found: Sequence[Difference]) -> str:
    """How many cells, and how many whole rows, columns and tables, are among the differences, and the largest change."""
    cells = [difference for difference in found if difference.of_cell]
    parts = ["1 cell differs" if len(cells) == 1 else f"{len(cells):,} cells differ"] if cells else []
    if whole := len(found) - len(cells):
        parts.append(f"{whole:,} rows, columns or tables are missing, extra or in another order")
    changed = [(abs(difference.change), difference) for difference in cells if difference.change is not None]
    if changed:
        largest = max(changed, key=lambda pair: pair[0])[1]
        parts.append(f"the largest change of a number is {largest.change:+.4g} ({largest.place})")
    return "; ".join(parts)


def causes(expected: Path, found: Path, schema: Mapping[str, Any]) -> list[str]:
    """What besides the machine can make the tables of two folders differ: other settings, facts or base models.

    A key of the config that came later counts with the schema's default in results that were made before it.
    """
    theirs, ours = provenance(expected), provenance(found)
    rules = dict(schema)
    before, after = (with_defaults(made["config"], rules, rules) for made in (theirs, ours))
    differing = {
        "config": unlike(before, after),
        "facts": [
            key
            for key in _differing(theirs["data_sha256"], ours["data_sha256"])
            if not _same_facts(*(folder.joinpath(*Path(key).parts[2:]) for folder in (expected, found)))
        ],
        "base models": _differing(theirs["base_models"], ours["base_models"]),
    }
    return [f"not the same {part}: {', '.join(keys)}" for part, keys in differing.items() if keys]


def _same_facts(expected: Path, found: Path) -> bool:
    """Whether two files have the same facts. Their digests also differ if other versions of pyarrow wrote them."""
    return expected.is_file() and found.is_file() and read_facts(expected).equals(read_facts(found))


def unlike(expected: Mapping[str, Any], found: Mapping[str, Any], place: str = "") -> list[str]:
    """The keys, with points, in which two mappings differ. A key that only one has is named without the keys in it."""
    keys: list[str] = []
    for key in _differing(expected, found):
        before, after = expected.get(key), found.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            keys += unlike(before, after, f"{place}{key}.")
        else:
            keys.append(f"{place}{key}")
    return keys


def _differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ, and those that only one mapping has."""
    keys = [*expected, *(key for key in found if key not in expected)]
    return [key for key in keys if (key in expected, expected.get(key)) != (key in found, found.get(key))]
