"""Copy a finished study's tables, figures, costs and provenance to its reference folder, and the tables into pages.

With --render, write the Markdown of a study that is published already again, from its CSV files and its provenance.
"""

import argparse
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from gradual.ground.errors import InputError
from gradual.ground.files import read_json, write_atomically, write_text
from gradual.report.page import figure_files
from gradual.study.config import with_defaults
from gradual.study.result_files import (
    COSTS,
    COSTS_CSV,
    PROVENANCE,
    REPORT,
    TABLE_CSV,
    TABLE_MARKDOWN,
    TABLES,
    path,
)
from gradual.tables.head import head
from gradual.tables.registry import about, name_of, render
from gradual.tables.table_csv import read_table
from gradual.workflow.costs import render as render_costs
from gradual.workflow.starting import report

BLOCK = re.compile(r"(?s)<!-- (\w+): (\w+) -->\n(.*?)<!-- end -->")
LONG_NOTE = 300  # characters
SCHEMA = Path(__file__).resolve().parents[1] / "schemas" / "config.schema.json"
HEAD = "head"  # the block of what is above a study's tables
UNANSWERABLE = re.compile(r"^No gold answer of .*$", re.MULTILINE)


def with_tables(text: str, study: str, tables: dict[str, str]) -> str:
    """The text with a study's tables in its blocks. `tables` maps names to Markdown.

    A block lies between `<!-- study: name -->` and `<!-- end -->`. A long note that stands in an earlier block is not
    said again. Raises InputError for a block whose table is missing in the study.
    """
    said: dict[str, str] = {}  # where each long note stands

    def block(match: re.Match[str]) -> str:
        shown = match[3]
        if match[1] == study:
            if match[2] not in tables:
                raise InputError(match[0].splitlines()[0], "the study has no such table", f"one of {', '.join(tables)}")
            parts = tables[match[2]].strip().split("\n\n")
            shown = "\n\n".join(said.get(part, part) for part in parts) + "\n"
        for part in shown.strip().split("\n\n"):
            if len(part) >= LONG_NOTE and not part.startswith("|"):
                number = re.fullmatch(r"table_0*(\d+)", match[2])
                table = f"Table {number[1]}" if number else f"the table {match[2]}"
                said.setdefault(part, f"The note is that of {table} of {match[1]}, above.")
        return f"<!-- {match[1]}: {match[2]} -->\n{shown}<!-- end -->"

    return BLOCK.sub(block, text)


def rendered(reference: Path) -> dict[str, str]:
    """The Markdown of a published study, by file: that of each table that its config shows, `tables.md` and `costs.md`.

    The provenance does not have the counts of facts that cannot be answered. So the sentence on them stays as it is.
    """
    provenance = read_json(reference / path(PROVENANCE), "a study's provenance")
    rules = read_json(SCHEMA, "the schema of a config")
    config = with_defaults(provenance["config"], rules, rules)  # it may be older than a key
    names = [name_of(shown) for shown in config["tables"]["show"]]
    numbers = {name: read_table(reference / path(TABLE_CSV, table=name)) for name in names}
    order = dict.fromkeys(key for frame in numbers.values() for key in frame["model"])  # the provenance has another one
    config["models"] = {key: config["models"][key] for key in order | config["models"]}
    tables = {path(TABLE_MARKDOWN, table=name): render(name, frame) for name, frame in numbers.items()}
    kept = UNANSWERABLE.search((reference / path(TABLES)).read_text(encoding="utf-8"))
    agreements = [*provenance["agreement"].values()]
    top = head(about(names, config), numbers, agreements, kept[0] if kept else "")
    costs = read_table(reference / path(COSTS_CSV))
    whole = "\n".join([f"{top}\n", *tables.values()])
    return tables | {path(TABLES): whole, path(COSTS): render_costs(costs, len(config["seeds"]))}


def blocks(texts: Mapping[str, str]) -> dict[str, str]:
    """What blocks can show, by name: each table, and as HEAD what is above the tables, without its title.

    `texts` maps files to their Markdown: that of each table, and `tables.md`.
    """
    tables = {Path(file).stem: text for file, text in texts.items() if file not in (path(TABLES), path(COSTS))}
    above = texts[path(TABLES)].partition(next(iter(tables.values())))[0]
    return tables | {HEAD: above.partition("\n")[2]}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--results", type=Path, help="results/<study>")
    source.add_argument("--render", action="store_true", help="write the published Markdown again, and copy nothing")
    parser.add_argument("--reference", type=Path, required=True, help="the folder of the published results")
    parser.add_argument("--pages", type=Path, nargs="+", required=True, help="the Markdown files with blocks of tables")
    args = parser.parse_args(argv)
    if args.render:
        texts = rendered(args.reference)
    else:
        files = finished(args.results)
        shown = [file for file in files if file.endswith(".md") and file != path(COSTS)]
        texts = {file: (args.results / file).read_text(encoding="utf-8") for file in shown}
    shown_there = blocks(texts)
    pages = {p: with_tables(p.read_text(encoding="utf-8"), args.reference.name, shown_there) for p in args.pages}
    if args.render:
        for file, text in texts.items():
            write_text(text, args.reference / file)
    else:
        copy(args.results, args.reference, files)
    for page, text in pages.items():
        write_text(text, page)


def finished(results: Path) -> list[str]:
    """The files of a study that are published, relative to its folder.

    Raises InputError if one of them is missing, or if no commit holds the code that made them.
    """
    files = [path(kind) for kind in (TABLES, PROVENANCE, COSTS_CSV, COSTS)]
    _require([results / file for file in files])
    provenance = read_json(results / path(PROVENANCE), "a study's provenance")
    if provenance["git"].get("changed") is not False:
        made = "made in a checkout with changes that no commit has, or in none"
        raise InputError(results / path(PROVENANCE), made, "results of a commit as it is")
    shows = provenance["config"]["tables"]["show"]
    tables = [path(kind, table=name_of(shown)) for shown in shows for kind in (TABLE_CSV, TABLE_MARKDOWN)]
    _require([results / file for file in (*tables, path(REPORT))])
    # The page itself is not published, because it can be made from what is (write_report.py).
    figures = figure_files(results / path(REPORT))
    _require([results / figure for figure in figures])
    return files + tables + figures


def copy(results: Path, reference: Path, files: list[str]) -> None:
    """Copy the files, and remove the other tables and figures of the reference folder."""
    for file in files:
        with write_atomically(reference / file) as temporary:
            shutil.copyfile(results / file, temporary)
    there = {file for folder in ("tables", "figures") for file in (reference / folder).glob("*")}
    for stale in there - {reference / file for file in files}:
        stale.unlink()


def _require(files: list[Path]) -> None:
    for file in files:
        if not file.exists():
            raise InputError(file, "is missing", "a finished study (make tables)")


if __name__ == "__main__":
    report(main)
