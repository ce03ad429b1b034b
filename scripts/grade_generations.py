"""Count the right answers of a probe for each fact and prompt, under every scoring rule."""

import argparse
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.ground.files import write_parquet
from gradual.ground.settings import add_paths
from gradual.knowledge.golds import ANSWERS, golds
from gradual.knowledge.scoring import count_right, grade
from gradual.probe.generations import read_generations
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--generations", type=Path, nargs="+", required=True, help="the raw answers of the probe, all shards"
    )
    add_paths(parser, "facts", "grades")
    parser.add_argument("--answers", choices=ANSWERS, required=True, help="which answers of a fact count as right")
    args = parser.parse_args(argv)
    accepted = golds(read_facts(args.facts), args.answers)
    write_parquet(count_right(grade(read_generations(args.generations), accepted)), args.grades)


if __name__ == "__main__":
    report(main)
