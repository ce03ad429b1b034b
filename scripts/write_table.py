"""Write a table as CSV, and then as Markdown from this CSV. Numbers of the paper, if any, stand beside ours."""

import argparse
import json
from pathlib import Path

from gradual.ground.files import write_csv, write_text
from gradual.ground.settings import add_paths
from gradual.tables.markdown import whole
from gradual.tables.reading import load
from gradual.tables.registry import TABLES, render, study
from gradual.tables.spec import needs_by_model
from gradual.tables.table_csv import read_table
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", choices=list(TABLES), required=True)
    parser.add_argument("--results", type=Path, required=True, help="results/<study>")
    parser.add_argument(
        "--study", type=json.loads, required=True, help="the settings of the study that the table uses, as JSON"
    )
    add_paths(parser, "csv", "markdown")
    args = parser.parse_args(argv)
    told, spec = study(args.table, args.study), TABLES[args.table]
    frame = whole(spec.build(load(args.results, told, needs_by_model(spec, told)), told))
    write_csv(frame, args.csv)
    write_text(render(args.table, read_table(args.csv)), args.markdown)


if __name__ == "__main__":
    report(main)
