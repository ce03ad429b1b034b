"""Draw a figure of the report as SVG, from the numbers that it shows, which are written as CSV."""

import argparse
import json
from pathlib import Path

from gradual.ground.files import write_csv, write_text
from gradual.ground.settings import add_paths
from gradual.report.registry import FIGURES, numbers, svg
from gradual.tables.table_csv import read_table
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", choices=list(FIGURES), required=True)
    parser.add_argument("--results", type=Path, required=True, help="results/<study>")
    parser.add_argument("--settings", type=json.loads, required=True, help="what the figure is about, as JSON")
    add_paths(parser, "csv", "svg")
    args = parser.parse_args(argv)
    write_csv(numbers(args.figure, args.results, args.settings), args.csv)
    write_text(svg(args.figure, read_table(args.csv)), args.svg)


if __name__ == "__main__":
    report(main)
