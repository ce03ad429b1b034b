"""Whether a table of Markdown fits on a page of GitHub, without scrolling sideways."""

import re

COLUMNS, ROOM = 8, 118  # the most columns, and the characters that a row has room for
WRAPS = 30  # longer cells wrap, and headers wrap at their words
BESIDE = 3  # the room between two columns, in characters


def markdown_tables(text: str) -> list[list[list[str]]]:
    """The cells of each table, by row, without the line below the header. An escaped border is a slash."""
    tables = re.findall(r"(?:^\|.*\n)+", text.replace(r"\|", "/") + "\n", re.MULTILINE)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in t.splitlines()] for t in tables]
    return [[header, *body] for header, _, *body in rows]


def width(table: list[list[str]]) -> int:
    """The characters of a row as a browser shows it at least."""
    header, *body = table
    columns = zip(header, zip(*body, strict=True), strict=True)
    shown = [
        [*map(len, name.split()), *(min(WRAPS, len(cell.strip("*"))) for cell in cells)] for name, cells in columns
    ]
    return sum(max(lengths) + BESIDE for lengths in shown)


def fits(table: list[list[str]]) -> bool:
    return len(table[0]) <= COLUMNS and width(table) <= ROOM
