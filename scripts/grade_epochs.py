"""Grade the dev and test answers of each epoch, and check that every epoch's adapter changed an answer."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from gradual.data.facts import read_facts
from gradual.ground.files import write_csv, write_parquet
from gradual.ground.settings import add_paths
from gradual.knowledge.accuracy import accuracy_by_epoch, check_adapter_effect, grade_epochs
from gradual.knowledge.golds import ANSWERS
from gradual.knowledge.scoring import RULES
from gradual.probe.generations import read_generations
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "generations", "facts", "grades", "accuracy")
    parser.add_argument(
        "--parent", type=Path, nargs="*", default=[], help="the parent's raw answers; the origin has no parent"
    )
    parser.add_argument("--scoring", choices=list(RULES), required=True, help="the scoring rule of the column accuracy")
    parser.add_argument("--answers", choices=ANSWERS, required=True, help="which answers of a fact count as right")
    parser.add_argument("--state", required=True)
    args = parser.parse_args(argv)
    generations = read_generations([args.generations], "epoch")
    for parent in args.parent:
        check_adapter_effect(generations, read_generations([parent], "epoch"), args.state)
    grades = grade_epochs(generations, read_facts(args.facts), args.answers)
    accuracy = accuracy_by_epoch(grades, args.scoring)
    log.info("accuracy:\n%s", pd.DataFrame(accuracy).to_string(index=False))
    write_parquet(grades, args.grades)
    write_csv(accuracy, args.accuracy)


if __name__ == "__main__":
    report(main)
