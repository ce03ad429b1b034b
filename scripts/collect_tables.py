"""Join the Markdown of a study's tables into one file, in the given order, below their head."""

import argparse
import json
from pathlib import Path

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.files import read_json, write_text
from gradual.knowledge.answerable import worst_split
from gradual.tables.head import head, unanswerable
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="the Markdown of each table")
    parser.add_argument("--numbers", type=Path, nargs="+", required=True, help="the CSV of each table")
    parser.add_argument("--agreements", type=Path, nargs="*", default=[], help="the results of check_probe")
    parser.add_argument("--answerable", type=Path, nargs="+", required=True, help="the results of check_answers")
    parser.add_argument(
        "--unanswerable", type=float, required=True, help="the largest share of facts that they may count"
    )
    parser.add_argument("--about", type=json.loads, required=True, help="what the head tells of the study, as JSON")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    counts = {path: pd.read_csv(path) for path in args.answerable}
    for path, counted in counts.items():  # again, because the share may be another one than that of check_answers
        if (worst := worst_split(counted, args.unanswerable)) is not None:
            problem = f"{worst['never']} of {worst['facts']} {worst['split']} facts have no possible answer"
            raise InputError(path, problem, f"at most {args.unanswerable:.0%} of a split", key="probe.unanswerable")
    numbers = {path.stem: pd.read_csv(path) for path in args.numbers}
    agreements = [read_json(path, "an agreement of a probe") for path in args.agreements]
    parts = [head(args.about, numbers, agreements, unanswerable(counts.values())) + "\n"]
    for path in args.tables:
        try:
            parts.append(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(path, f"cannot be read ({error})", "the Markdown of a table") from error
    write_text("\n".join(parts), args.output)


if __name__ == "__main__":
    report(main)
