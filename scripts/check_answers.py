"""Count the facts that a model cannot answer within the study's limits, and refuse a study with too many of them."""

import argparse
import logging
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.ground.files import write_csv
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as settings
from gradual.knowledge.answerable import Limits, check, count, needed_tokens
from gradual.knowledge.golds import ANSWERS, golds
from gradual.models.loading import load_tokenizer
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    add_paths(parser, "facts", "answerable")
    parser.add_argument("--limits", type=settings(Limits), required=True, help="the limits of an answer, as JSON")
    parser.add_argument("--unanswerable", type=float, required=True, help="the largest share of a split's facts")
    parser.add_argument("--answers", choices=ANSWERS, required=True, help="which answers of a fact count as right")
    args = parser.parse_args(argv)
    facts = read_facts(args.facts)
    needed = needed_tokens(facts, golds(facts, args.answers), load_tokenizer(args.base), args.limits)
    counts = count(needed)
    log.info("facts without a possible right answer:\n%s", counts.to_string(index=False))
    check(needed, args.limits, args.unanswerable, args.facts)
    write_csv(counts, args.answerable)


if __name__ == "__main__":
    report(main)
