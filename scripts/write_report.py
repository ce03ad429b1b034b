"""Write the report of a study: one HTML file with its figures and its tables.

With --figures, these figures have been drawn. Without, every figure is drawn first that the folder has the numbers of. So
the report of a published study is made from its folder alone: --results results/reference/<study>.
"""

import argparse
from pathlib import Path
from typing import Any

from gradual.ground.files import read_json, write_csv, write_text
from gradual.report.page import page
from gradual.report.registry import FIGURES, published_numbers, svg
from gradual.study.result_files import FIGURE_CSV, FIGURE_SVG, PROVENANCE, REPORT, path
from gradual.tables.registry import name_of
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, required=True, help="results/<study>, or the folder of a published study"
    )
    parser.add_argument("--tables", nargs="+", help="names of tables (default: those that the study shows)")
    parser.add_argument("--figures", nargs="*", help="names of figures that have been drawn (default: draw them)")
    parser.add_argument("--output", type=Path, help="the HTML file (default: report.html in the folder)")
    args = parser.parse_args(argv)
    provenance: dict[str, Any] = read_json(args.results / path(PROVENANCE), "a study's provenance")
    tables = args.tables or [name_of(shown) for shown in provenance["config"]["tables"]["show"]]
    figures = draw(args.results, tables) if args.figures is None else args.figures
    write_text(page(args.results, tables, figures, provenance), args.output or args.results / path(REPORT))


def draw(root: Path, tables: list[str]) -> list[str]:
    """Draw each figure of a published study into its folder; returns their names."""
    drawn = []
    for name in FIGURES:
        shown = published_numbers(name, root, tables)
        if shown is not None and len(shown):
            write_csv(shown, root / path(FIGURE_CSV, figure=name))
            write_text(svg(name, shown), root / path(FIGURE_SVG, figure=name))
            drawn.append(name)
    return drawn


if __name__ == "__main__":
    report(main)
