"""Estimate for each relation how often the sampled answers to one fact contain the answer of another fact."""

import argparse
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.ground.files import read_parquet, write_csv
from gradual.ground.settings import add_paths
from gradual.knowledge.chance import chance_rates
from gradual.knowledge.golds import ANSWERS
from gradual.knowledge.scoring import RULES
from gradual.probe.generations import read_generations
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=Path, nargs="+", required=True)
    add_paths(parser, "categories", "facts", "chance")
    parser.add_argument("--scoring", choices=list(RULES), required=True)
    parser.add_argument("--answers", choices=ANSWERS, required=True, help="which answers of a fact count as right")
    args = parser.parse_args(argv)
    categories = read_parquet(args.categories, "categories of facts", ("fact_id", "category"))
    generations, facts = read_generations(args.generations), read_facts(args.facts)
    rates = chance_rates(generations, facts, categories, args.scoring, args.answers)
    write_csv(rates, args.chance)


if __name__ == "__main__":
    report(main)
