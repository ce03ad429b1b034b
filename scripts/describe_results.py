"""Write the columns of result files into docs/result_files.md, from schemas, tables' specs and published CSV."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradual.ground.files import write_text
from gradual.study.config import expectation
from gradual.tables.markdown import title
from gradual.tables.registry import PACKAGES
from gradual.tables.spec import Column, TableSpec
from gradual.tables.table_csv import read_table
from gradual.workflow.starting import report

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?s)(?<=<!-- columns -->\n).*?(?=<!-- end -->)")
CONFIG = "config.schema.json"  # docs/configuration.md describes it


class _Row(dict[str, Any]):
    """A row of a table that keeps the names of the columns that are read of it. A column that it lacks is 1."""

    def __init__(self, cells: Mapping[str, Any]) -> None:
        super().__init__(cells)
        self.read: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:
        self.read[name] = None
        return self.get(name, 1.0)


def read_by(column: Column, rows: Iterable[Mapping[str, Any]] = ()) -> list[str]:
    """The columns of the CSV that a column of the Markdown is made from: in any of the rows, or in one of numbers."""
    found: dict[str, None] = {}
    for cells in ({}, *rows):
        row = _Row(cells)
        column.cell(row)
        found |= row.read
    return list(found)


def rows_of(name: str, published: Path) -> list[dict[str, Any]]:
    """The rows of a table's CSV in the published studies. Empty if no published study has the table."""
    frames = [read_table(file) for file in sorted(published.glob(f"*/tables/{name}.csv"))]
    return [row for frame in frames for row in frame.to_dict("records")]


def cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|")


def of_schema(schema: dict[str, Any]) -> Iterator[str]:
    """The lines about a file with a schema: what a row is, and a table with a row per column."""
    yield from [
        f"### {schema['title']}",
        "",
        schema["description"],
        "",
        "| column | value | meaning |",
        "|---|---|---|",
    ]
    for name, found in schema["properties"].items():
        yield f"| `{name}` | {cell(expectation(found, schema))} | {cell(found['description'])} |"


def of_table(spec: TableSpec, published: Path) -> Iterator[str]:
    """The lines about a table: its caption, its note, its columns in Markdown, and the other columns of its CSV."""
    yield from [f"### {title(spec)}", "", f"`tables/{spec.name}.csv`: {spec.caption}"]
    if spec.note:
        yield from ["", spec.note]
    rows = rows_of(spec.name, published)
    header = dict.fromkeys(name for row in rows for name in row)
    known = set()
    for part in spec.parts:
        if part.heading:
            yield from ["", f"{part.heading}:"]
        yield from ["", "| column | in the CSV |", "|---|---|"]
        for column in part.columns:
            read = read_by(column, rows)
            known |= set(read)
            yield f"| {cell(column.header)} | {', '.join(f'`{key}`' for key in read)} |"
    if more := [name for name in header if name not in known]:
        yield from ["", f"Only in the CSV: {', '.join(f'`{name}`' for name in more)}."]


def render(schemas: Path, published: Path) -> str:
    """The text about all files with a schema, and then about all tables, paper by paper."""
    lines = ["## Columns of the files with a schema"]
    for file in sorted(schemas.glob("*.schema.json")):
        if file.name != CONFIG:
            lines += ["", *of_schema(json.loads(file.read_text(encoding="utf-8")))]
    for package in PACKAGES:
        lines += ["", f"## Tables of the study of {package.citation}"]
        for name in package.tables:
            lines += ["", *of_table(package.tables[name], published)]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemas", type=Path, default=ROOT / "schemas")
    parser.add_argument("--published", type=Path, default=ROOT / "results" / "reference")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "result_files.md", help="the page with the block")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if the page is out of date"
    )
    args = parser.parse_args(argv)
    page = args.page.read_text(encoding="utf-8")
    columns = render(args.schemas, args.published)
    text, blocks = BLOCK.subn(lambda _: columns, page)
    if blocks != 1:
        sys.exit(
            f"error: {args.page.name} has {blocks} blocks for columns; expected one, from <!-- columns --> to <!-- end -->"
        )
    if not args.check:
        write_text(text, args.page)
    elif page != text:
        sys.exit(
            f"error: {args.page.name} has drifted from the schemas and tables; run python scripts/describe_results.py"
        )


if __name__ == "__main__":
    report(main)
