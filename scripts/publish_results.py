"""Copy a finished study's tables, costs and provenance to its reference folder, and the tables into the README."""

import argparse
import re
import shutil
from pathlib import Path

from gradual.ground.errors import InputError
from gradual.ground.files import read_json, write_atomically, write_text
from gradual.study.result_files import COSTS, COSTS_CSV, PROVENANCE, TABLE_CSV, TABLE_MARKDOWN, TABLES, path
from gradual.tables.registry import name_of
from gradual.workflow.starting import report

BLOCK = re.compile(r"(?s)<!-- (\w+): (\w+) -->\n.*?<!-- end -->")


def with_tables(text: str, study: str, tables: dict[str, str]) -> str:
    """The text with a study's tables in its blocks. `tables` maps names to Markdown.

    A block lies between `<!-- study: name -->` and `<!-- end -->`. Raises InputError for a block whose table is missing in
    the study.
    """

    def block(match: re.Match[str]) -> str:
        if match[1] != study:
            return match[0]
        if match[2] not in tables:
            raise InputError(match[0].splitlines()[0], "the study has no such table", f"one of {', '.join(tables)}")
        return f"<!-- {match[1]}: {match[2]} -->\n{tables[match[2]].strip()}\n<!-- end -->"

    return BLOCK.sub(block, text)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/<study>")
    parser.add_argument("--reference", type=Path, required=True, help="the folder to copy to")
    parser.add_argument("--readme", type=Path, required=True)
    args = parser.parse_args(argv)
    names = [path(kind) for kind in (TABLES, PROVENANCE, COSTS_CSV, COSTS)]
    files = [args.results / name for name in names]
    _require(files)
    shows = read_json(files[1], "a study's provenance")["config"]["tables"]["show"]
    kinds = (TABLE_CSV, TABLE_MARKDOWN)
    tables = [args.results / path(kind, table=name_of(shown)) for shown in shows for kind in kinds]
    _require(tables)
    shown = {t.stem: t.read_text(encoding="utf-8") for t in tables if t.suffix == ".md"}
    readme = with_tables(args.readme.read_text(encoding="utf-8"), args.results.name, shown)
    for file in [*files, *tables]:
        with write_atomically(args.reference / file.relative_to(args.results)) as temporary:
            shutil.copyfile(file, temporary)
    for stale in {*(args.reference / "tables").glob("*")} - {
        args.reference / t.relative_to(args.results) for t in tables
    }:
        stale.unlink()
    write_text(readme, args.readme)


def _require(files: list[Path]) -> None:
    for file in files:
        if not file.exists():
            raise InputError(file, "is missing", "a finished study (make tables)")


if __name__ == "__main__":
    report(main)
