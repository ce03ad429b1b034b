"""Find the category of each probed fact, and count the facts per category under every scoring rule."""

import argparse
import logging

import pandas as pd

from gradual.data.facts import read_facts
from gradual.ground.files import read_parquet, write_csv, write_parquet
from gradual.ground.settings import add_paths
from gradual.knowledge.categories import categorize
from gradual.knowledge.scoring import RULES
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "grades", "facts", "categories", "counts")
    parser.add_argument("--scoring", choices=list(RULES), required=True, help="the scoring rule of the categories")
    parser.add_argument(
        "--settled", action="store_true", help="probe.counts is settled, so facts are counted only under --scoring"
    )
    parser.add_argument("--mode", choices=["full", "greedy"], required=True)
    args = parser.parse_args(argv)
    grades = read_parquet(args.grades, "grades of answers", ("fact_id", "kind", "n", *RULES))
    rules = [args.scoring] if args.settled else list(RULES)
    by_rule = {rule: categorize(grades, rule, args.mode, str(args.grades)) for rule in rules}
    counts = pd.DataFrame({rule: table["category"].value_counts() for rule, table in by_rule.items()}).fillna(0)
    counts = counts.astype(int).rename_axis("category").reset_index()
    log.info("facts by scoring rule:\n%s", counts.to_string(index=False))
    relation = read_facts(args.facts).set_index("fact_id")["relation"]
    table = by_rule[args.scoring]
    table.insert(1, "relation", table["fact_id"].map(relation))
    write_csv(counts, args.counts)
    write_parquet(table, args.categories)


if __name__ == "__main__":
    report(main)
