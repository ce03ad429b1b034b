"""Write the costs of each state of a study: prompts, tokens and seconds."""

import argparse
import json
from pathlib import Path

from gradual.ground.files import write_csv, write_text
from gradual.ground.settings import add_paths
from gradual.workflow.costs import render, table
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--works", type=json.loads, required=True, help="the work of any seed, as JSON (works.Work.described)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--results", type=Path, required=True, help="results/<study>")
    parser.add_argument("--labels", type=json.loads, required=True, help="the label of each model, as JSON")
    add_paths(parser, "csv", "markdown")
    args = parser.parse_args(argv)
    frame = table(args.works, args.seeds, args.results, args.labels)
    write_csv(frame, args.csv)
    write_text(render(frame, len(args.seeds)), args.markdown)


if __name__ == "__main__":
    report(main)
