"""The report of a study as one HTML file: its figures, the numbers that they show, and its tables with their notes.

The page needs nothing but itself: figures and styles are in it, folds are HTML's own, and there is no script.
"""

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from gradual.ground.errors import InputError
from gradual.report.registry import FIGURES
from gradual.study.result_files import COSTS, FIGURE_CSV, FIGURE_SVG, TABLE_CSV, TABLES, path
from gradual.tables import markdown, registry
from gradual.tables.table_csv import read_table
from gradual.tables.verdicts import NOT, SHOWS, UNDECIDED

RESOURCES = ("page.html.j2",)  # read by the code fingerprint
TEMPLATE = Path(__file__).with_name(RESOURCES[0])
CLAIMS = ("claims", "stage_claims")
SHOWS_NOT_BEYOND = "shows, but not beyond its control"
ENDS = {  # how one claim, and how several, are said to come to an end
    SHOWS: ("claim shows", "claims show"),
    SHOWS_NOT_BEYOND: (SHOWS_NOT_BEYOND, "show, but not beyond their control"),
    UNDECIDED: ("is undecided", "are undecided"),
    NOT: ("does not show", "do not show"),
}
# Where a note is taken apart. A sentence that says more of the one before it stays with it.
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*`])(?!(?:They|It|So|This|Otherwise|In all other)\b)")
WORDS = 18  # a cell of more characters may break its line
TALL = 900  # points; a higher figure does not fit on a printed page beside another one


class Grid(NamedTuple):
    """A table's cells as texts; `right` says which columns are set to the right."""

    headers: list[str]
    right: list[bool]
    rows: list[list[str]]


class Table(NamedTuple):
    """A table of the page: its parts under their headings, as in Markdown, and all that its CSV has.

    `notes` are the sentences that are about this table alone.
    """

    name: str
    title: str
    caption: str
    grids: list[tuple[str, Grid]]
    notes: list[str]
    whole: Grid | None = None


def page(root: Path, tables: Sequence[str], figures: Sequence[str], provenance: Mapping[str, Any]) -> str:
    """The HTML of a study, from results/<study>/ or its published folder, with these tables and figures.

    Raises InputError for a file that cannot be read.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    read = {name: read_table(root / path(TABLE_CSV, table=name)) for name in tables}
    legend, shown = with_legend([_table(name, frame) for name, frame in read.items()])
    head = _head(_text(root / path(TABLES)), [table.title for table in shown])
    environment = Environment(autoescape=True, trim_blocks=False, keep_trailing_newline=True, undefined=StrictUndefined)
    environment.globals["grid"] = _grid
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        study=provenance["config"]["study"],
        head=[inline(said) for said in head],
        verdicts=verdicts([read[name] for name in CLAIMS if name in read]),
        figures=[
            {
                "name": spec.name,
                "title": spec.title,
                "note": inline(spec.note),
                "svg": Markup(_labelled(svg, spec.title)),
                "tall": _height(svg) > TALL,
                "numbers": numbers_grid(read_table(root / path(FIGURE_CSV, figure=spec.name))),
            }
            for spec in map(FIGURES.__getitem__, figures)
            for svg in [_text(root / path(FIGURE_SVG, figure=spec.name))]
        ],
        legend=[(", ".join(names), inline(" ".join(said))) for names, said in legend],
        tables=[
            table._replace(caption=inline(table.caption), notes=[inline(said) for said in table.notes])
            for table in shown
        ],
        costs=[from_markdown("costs", _text(root / path(COSTS)))],
        foot=_foot(provenance),
    )


def figure_files(report: Path) -> list[str]:
    """The CSV and the SVG of each figure on a report's page, relative to its folder."""
    names = re.findall(r'<figure id="(\w+)"', _text(report))
    return [path(kind, figure=name) for name in names for kind in (FIGURE_CSV, FIGURE_SVG)]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(file, f"cannot be read ({error})", "a result of a finished study (make tables)") from error


def _table(name: str, frame: pd.DataFrame) -> Table:
    """A table, with all of its notes."""
    spec = registry.TABLES[name]
    models = [rows for _, rows in frame.groupby("model", sort=False)]
    grids = []
    for rows in models:
        for part in spec.parts:
            heading = ", ".join([rows["label"].iloc[0]] * (len(models) > 1) + [part.heading] * bool(part.heading))
            cells = [[column.cell(row) for column in part.columns] for _, row in part.rows(rows).iterrows()]
            headers, right = zip(*((column.header, column.right) for column in part.columns), strict=True)
            grids.append((heading, Grid([*headers], [*right], cells)))
    return Table(
        name, markdown.title(spec), spec.caption, grids, sentences(markdown.note(spec, frame)), numbers_grid(frame)
    )


def from_markdown(name: str, text: str) -> Table:
    """The tables of a Markdown file with a caption, rows that may have a heading, and notes."""
    caption, *parts = [part.strip() for part in text.split("\n\n") if part.strip()]
    last = max((place for place, part in enumerate(parts) if part.startswith("|")), default=-1)
    grids = []
    for heading, part in zip(["", *parts], parts[: last + 1], strict=False):
        if part.startswith("|"):
            grids.append((heading.rstrip(":"), _cells(part)))
    return Table(name, name, caption, grids, parts[last + 1 :])


def _cells(rows: str) -> Grid:
    """The cells of a table of Markdown."""
    cells = [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rows.splitlines()
    ]
    return Grid(cells[0], [cell.endswith(":") for cell in cells[1]], cells[2:])


def sentences(note: str) -> list[str]:
    """The sentences of a note; none of an empty one."""
    return SENTENCE.split(note.strip()) if note.strip() else []


def with_legend(tables: Sequence[Table]) -> tuple[list[tuple[list[str], list[str]]], list[Table]]:
    """The sentences that several tables have in their notes, and the tables with the other ones.

    The sentences of the same tables are together, with the titles of these tables, or none if it is all tables.
    """
    having: dict[str, list[str]] = {}
    for table in tables:
        for said in dict.fromkeys(table.notes):
            having.setdefault(said, []).append(table.title)
    shared = {said: titles for said, titles in having.items() if len(titles) > 1}
    legend: dict[tuple[str, ...], list[str]] = {(): []} if shared else {}
    for said, titles in shared.items():
        legend.setdefault(() if len(titles) == len(tables) else tuple(titles), []).append(said)
    return [([*titles], said) for titles, said in legend.items() if said], [
        table._replace(notes=[said for said in table.notes if said not in shared]) for table in tables
    ]


def numbers_grid(frame: pd.DataFrame) -> Grid:
    """The numbers of a figure as cells, rounded for readers; the CSV has them whole."""
    headers = [name.replace("_", " ") for name in frame]
    right = [bool(pd.api.types.is_numeric_dtype(frame[name])) for name in frame]
    rows = [[_cell(value) for value in row] for row in frame.astype(object).itertuples(index=False)]
    return Grid(headers, right, rows)


def _cell(value: Any) -> str:
    if pd.isna(value):
        return markdown.MISSING
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.3g}" if abs(value) < 1 else f"{value:,.2f}"
    return str(value)


def inline(text: str) -> Any:
    """The HTML of a text with Markdown's marks of code, bold and slanted words."""
    from markupsafe import Markup

    found = html.escape(text, quote=False)
    for mark, tag in ((r"`([^`]+)`", "code"), (r"\*\*(.+?)\*\*", "b"), (r"(?<![\w*])\*([^*\s][^*]*)\*", "em")):
        found = re.sub(mark, rf"<{tag}>\1</{tag}>", found)
    return Markup(found)


def _grid(grid: Grid) -> Any:
    from markupsafe import Markup

    head = "".join(
        f'<th scope="col"{" class=right" if r else ""}>{inline(h)}</th>'
        for h, r in zip(grid.headers, grid.right, strict=True)
    )
    rows = [
        "<tr>" + "".join(_td(cell, right) for cell, right in zip(row, grid.right, strict=True)) + "</tr>"
        for row in grid.rows
    ]
    return Markup(f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table>")


def _td(cell: str, right: bool) -> str:
    kind = " class=right" if right else " class=words" if len(cell) > WORDS else ""
    return f"<td{kind}>{inline(cell)}</td>"


def _height(svg: str) -> float:
    """The height of a figure, in points."""
    found = re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)
    return float(found[1]) if found else 0.0


def _labelled(svg: str, title: str) -> str:
    """An SVG that says what it is to those who cannot see it."""
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)


def _head(text: str, titles: Sequence[str]) -> list[str]:
    """What tables.md says before its first table, below its title."""
    found = []
    for part in text.split("\n\n"):
        if part.startswith(tuple(f"{title}: " for title in titles)):
            break
        if part.strip() and not part.startswith("#"):
            found.append(" ".join(part.split()))
    return found


def verdicts(tables: Sequence[pd.DataFrame]) -> list[tuple[str, list[tuple[int, str]]]]:
    """How many claims come to which end, by the model's label. A claim with a control shows if it shows beyond it."""
    ends: dict[str, Counter[str]] = {}
    for frame in tables:
        for _, row in frame.iterrows():
            net = row["verdict_against_control"]
            beyond = row["verdict"] != SHOWS or net == SHOWS or not isinstance(net, str)
            ends.setdefault(str(row["label"]), Counter())[row["verdict"] if beyond else SHOWS_NOT_BEYOND] += 1
    return [
        (label, [(found[end], said[found[end] > 1]) for end, said in ENDS.items() if found[end]])
        for label, found in ends.items()
    ]


def _foot(provenance: Mapping[str, Any]) -> list[str]:
    """What made the results: the machine, the versions and the commit."""
    machine, git = provenance.get("hardware") or {}, provenance.get("git") or {}
    versions = {name: version for name, version in (provenance.get("packages") or {}).items() if version}
    found = []
    if machine:
        gpus = ", ".join(machine.get("gpus") or []) or "no GPU"
        found.append(
            f"Made on {machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_gib')} GiB, {gpus}."
        )
    if versions:
        found.append(f"With {', '.join(f'{name} {version}' for name, version in versions.items())}.")
    if git:
        found.append(f"Commit {git.get('commit')}{', with changed files' if git.get('changed') else ''}.")
    return found
