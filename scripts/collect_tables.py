"""Join the Markdown of a study's tables into one file, in the given order."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.files import read_json, write_text
from gradual.knowledge.answerable import worst_split
from gradual.knowledge.golds import ANY
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="the Markdown of each table")
    parser.add_argument("--agreements", type=Path, nargs="*", default=[], help="the results of check_probe")
    parser.add_argument("--answerable", type=Path, nargs="+", required=True, help="the results of check_answers")
    parser.add_argument(
        "--unanswerable", type=float, required=True, help="the largest share of facts that they may count"
    )
    parser.add_argument("--about", type=json.loads, required=True, help="what the head tells of the study, as JSON")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    about = args.about
    parts = [
        f"# Tables of the study {about['study']}\n",
        f"Models: {', '.join(about['models'])}. Seeds: {', '.join(map(str, about['seeds']))}.\n",
        f"Captions and the columns named Paper are those of {' and of '.join(about['cited'])}; the rest is ours.\n",
    ]
    if args.agreements:
        parts.append(sentence([read_json(path, "an agreement of a probe") for path in args.agreements]) + "\n")
    if about["answers"] == ANY:
        parts.append("An output is right if it is right by any of the fact's answers (answers: any).\n")
    counts = {path: pd.read_csv(path) for path in args.answerable}
    for path, counted in counts.items():  # again, because the share may be another one than that of check_answers
        if (worst := worst_split(counted, args.unanswerable)) is not None:
            problem = f"{worst['never']} of {worst['facts']} {worst['split']} facts have no possible answer"
            raise InputError(path, problem, f"at most {args.unanswerable:.0%} of a split", key="probe.unanswerable")
    if told := unanswerable(counts.values()):
        parts.append(f"No gold answer of {told} facts is possible within probe.max_new_tokens and probe.stop.\n")
    for path in args.tables:
        try:
            parts.append(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(path, f"cannot be read ({error})", "the Markdown of a table") from error
    write_text("\n".join(parts), args.output)


def sentence(found: Sequence[dict[str, Any]]) -> str:
    """A sentence for the readers of the tables about the agreement of a study's probes."""
    names = ("answers", "equal_answers", "agreeing_answers", "facts", "equal_classes")
    total = {name: sum(each[name] for each in found) for name in names}
    agreeing = f" ({total['agreeing_answers']:,} up to rounding)"
    return (
        f"The untouched models' probes, checked against plain `generate`: {total['equal_answers']:,} of"
        f" {total['answers']:,} greedy answers equal"
        f"{agreeing if total['agreeing_answers'] > total['equal_answers'] else ''},"
        f" {total['equal_classes']:,} of {total['facts']:,} facts in the same class (provenance.json)."
    )


def unanswerable(counts: Iterable[pd.DataFrame]) -> str:
    """How many facts of each split no state can answer within the study's limits. Empty if there are no such facts.

    `counts` has the counts of each model and seed, which are summed.
    """
    total = pd.concat(counts).groupby("split", sort=False)[["never", "facts"]].sum()
    some = total[total["never"] > 0].itertuples()
    return " and of ".join(f"{row.never:,} of {row.facts:,} {row.Index}" for row in some)


if __name__ == "__main__":
    report(main)
