"""Write one of the paper's tables with our numbers: as CSV, and as Markdown rendered from it."""

import argparse
import json
from pathlib import Path

from gradual.errors import report
from gradual.files import write_csv, write_text
from gradual.grading import RULES
from gradual.tables import TABLES
from gradual.tables.loading import load
from gradual.tables.markdown import read_table, render
from gradual.tables.spec import Study, check_complete, models_of


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, choices=sorted(TABLES), required=True)
    parser.add_argument("--results", type=Path, required=True, help="the study's folder of results")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--models", type=json.loads, required=True, help="label and paper's model of each, as JSON")
    parser.add_argument("--one-stage", required=True, help="the run that the paper calls One-Stage")
    parser.add_argument("--two-stage", required=True, help="the run that the paper calls Two-Stage")
    parser.add_argument("--retests", type=int, required=True, help="probes of the origin beyond the first")
    parser.add_argument("--scoring", choices=list(RULES), required=True)
    parser.add_argument("--choose-on", choices=["dev", "test"], required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    args = parser.parse_args(argv)
    study = Study(
        tuple(args.seeds),
        models_of(args.models),
        args.one_stage,
        args.two_stage,
        args.retests,
        args.scoring,
        args.choose_on,
    )
    spec = TABLES[args.number]
    frame = spec.build(study, load(study, args.results, spec.inputs(study)))
    check_complete(spec, frame, args.csv)
    write_csv(frame, args.csv)
    write_text(render(spec, read_table(args.csv), study), args.markdown)


if __name__ == "__main__":
    report(main)
