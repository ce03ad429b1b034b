"""Write one of the paper's tables with our numbers beside the paper's: as CSV, and as Markdown rendered from it."""

import argparse
from pathlib import Path

import pandas as pd

from gradual.errors import report
from gradual.files import write_csv, write_text
from gradual.grading import RULES
from gradual.tables import TABLES, render
from gradual.tables.markdown import whole
from gradual.tables.results import load
from gradual.tables.spec import Study, parse_models


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, choices=sorted(TABLES), required=True)
    parser.add_argument("--results", type=Path, required=True, help="results/<study>")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--models", required=True, help='JSON: {"name": {"label": …, "paper": … or null}, …}')
    parser.add_argument("--one-stage", required=True, help="the run that the paper calls One-Stage")
    parser.add_argument("--two-stage", required=True, help="the run that the paper calls Two-Stage")
    parser.add_argument("--retests", type=int, required=True, help="how often the origin was probed again")
    parser.add_argument("--scoring", choices=list(RULES), required=True)
    parser.add_argument("--choose-on", choices=["dev", "test"], required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    args = parser.parse_args(argv)
    study = Study(
        seeds=tuple(args.seeds),
        models=parse_models(args.models),
        one_stage=args.one_stage,
        two_stage=args.two_stage,
        retests=args.retests,
        scoring=args.scoring,
        choose_on=args.choose_on,
    )
    spec = TABLES[args.number]
    write_csv(whole(spec.build(load(args.results, study, spec.needs(study)), study)), args.csv)
    write_text(render(args.number, pd.read_csv(args.csv)), args.markdown)


if __name__ == "__main__":
    report(main)
