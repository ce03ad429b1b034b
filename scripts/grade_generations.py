"""Count the right answers of a probe for each fact and prompt, under every scoring rule."""

import argparse
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.ground.files import write_parquet
from gradual.ground.settings import add_paths
from gradual.knowledge.scoring import count_right, grade
from gradual.probe.generations import read_generations
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--generations", type=Path, nargs="+", required=True, help="the raw answers of the probe, all shards"
    )
    add_paths(parser, "facts", "grades")
    args = parser.parse_args(argv)
    answers = read_facts(args.facts).set_index("fact_id")["answers"].str[0]
    write_parquet(count_right(grade(read_generations(args.generations), answers)), args.grades)


if __name__ == "__main__":
    report(main)
