"""The rows of a file: CSV, TSV, Parquet, Arrow, a JSON list or JSON lines; and the values in a row."""

import ast
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gradual.data.readers.raw import RawFile, check_object, parse_json
from gradual.ground.errors import InputError

MISSING = object()
WITHOUT_COMMAS = re.compile(r"""['"]\s+['"]""")  # between the texts of a list that numpy printed
LIKE_A_LIST = re.compile(r"""(array\()?\[\s*['"]""")
MAX_CELL = 1 << 30  # characters


def rows_of(file: RawFile) -> Iterator[tuple[int, Any]]:
    """The rows with their numbers: a line, or a place in a list, both from 1. A row may still be no object.

    Raises InputError for a file that cannot be read, holds no rows, or has two columns of the same name.
    """
    found = {".csv": _cells, ".tsv": _cells, ".parquet": _columns, ".arrow": _columns}.get(file.format, _json)(file)
    if not found:
        raise InputError(file.label, "holds no facts", "at least one row")
    yield from found


def _json(file: RawFile) -> list[tuple[int, Any]]:
    """JSON lines, a list of objects, or an object with one list of objects (TriviaQA)."""
    text = file.text()
    if file.format != ".json" or _is_lines(text):
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        return [(number, Line(line)) for number, line in lines]
    value = parse_json(text, file.label)
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
        value = lists[0] if len(lists) == 1 else value
    if not isinstance(value, list):
        raise InputError(file.label, "is no list of rows", "a JSON list of objects, or a JSON object per line")
    return list(enumerate(value, 1))


class Line(str):
    """A line of JSON that is not parsed yet, so that each bad line is told with the others."""

    __slots__ = ()


def _is_lines(text: str) -> bool:
    """Whether a text has a JSON object in its first line, and more after it."""
    first, _, rest = text.strip().partition("\n")
    return bool(rest) and first.startswith("{") and _is_json(first)


def as_object(row: Any, file: RawFile, number: int) -> dict[str, Any]:
    """The row as an object. Raises InputError where it is none."""
    if isinstance(row, InputError):
        raise row
    value = parse_json(row, file.label, number) if isinstance(row, Line) else row
    return check_object(value, file.label, number, "an object with question and answers")


def _cells(file: RawFile) -> list[tuple[int, Any]]:
    """Quotes follow the rules of CSV, or are plain characters in a TSV file whose rows are whole only then."""
    text, tsv = file.text(), file.format == ".tsv"
    header = text.partition("\n")[0]
    separator = "\t" if tsv or ("\t" in header and "," not in header) else ";" if "," not in header else ","
    rows, whole = _separated(file, text, separator, csv.QUOTE_MINIMAL)
    if tsv and not whole:
        plain, whole = _separated(file, text, separator, csv.QUOTE_NONE)
        rows = plain if whole else rows
    return rows


def _separated(file: RawFile, text: str, separator: str, quoting: Any) -> tuple[list[tuple[int, Any]], bool]:
    """The rows below the header, and whether each has as many cells as it. Empty cells are None."""
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
    rows: list[tuple[int, Any]] = []
    header, number = None, 1
    try:
        for cells in reader:
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_names(header, file)
            elif len(cells) == len(header):
                rows.append((number, {name: cell or None for name, cell in zip(header, cells, strict=True)}))
            elif cells:
                expected = f"{len(header)}, as in the header"
                rows.append((number, InputError(file.label, f"has {len(cells)} cells", expected, row=number)))
            number = reader.line_num + 1
    except csv.Error as error:
        rows.append((number, InputError(file.label, f"malformed row ({error})", "cells as in the header", row=number)))
    return rows, not any(isinstance(row, InputError) for _, row in rows)


def _check_names(names: list[str], file: RawFile) -> None:
    for name in names:
        if name and names.count(name) > 1:
            raise InputError(file.label, f"has two columns {name!r}", "columns with different names", row=1)


def _columns(file: RawFile) -> list[tuple[int, Any]]:
    import pyarrow
    from pyarrow import ipc, parquet

    content = pyarrow.BufferReader(file.content())
    try:
        if file.format == ".parquet":
            table = parquet.read_table(content)
        else:
            is_file = content.read(6) == b"ARROW1"
            content.seek(0)
            table = (ipc.open_file if is_file else ipc.open_stream)(content).read_all()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(file.label, f"cannot be read ({error})", "a whole file of its format") from error
    _check_names(table.column_names, file)
    return list(enumerate(table.to_pylist(), 1))


def value_at(row: Any, path: str) -> Any:
    """The value at a path such as `Answer.Value`; MISSING where the row has none.

    A list on the way gives the list of the values in its items. A text on the way may hold the object or the list.
    """
    if isinstance(row, str):
        row = _held(row)
    if isinstance(row, list):
        return [value for item in row if (value := value_at(item, path)) is not MISSING]
    if not isinstance(row, Mapping):
        return MISSING
    if path in row:
        return row[path]
    head, _, rest = path.partition(".")
    return value_at(row[head], rest) if rest and head in row else MISSING


def held_in(text: str) -> Any:
    """The list or the object that a text holds, in JSON or as Python prints it; None for any other text.

    Raises ValueError for what looks like a list and is none, because it must not become one answer.
    """
    text = text.strip()
    if not text.startswith(("[", "{", "array(")):
        return None
    value = _held(text)
    if value is None and LIKE_A_LIST.match(text):
        raise ValueError("a list that is cut short, or is not as JSON or Python writes it")
    if isinstance(value, list) and WITHOUT_COMMAS.search(text) and not _is_json(text):
        raise ValueError("a list without commas")
    return value if isinstance(value, list | dict) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _held(text: str) -> Any:
    """The value that a text holds in JSON or as Python prints it; None where it holds none."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None
