"""Write the examples of a run whose answers are drawn at random: each is that of a train fact of its relation."""

import argparse
import logging

from gradual.data.facts import read_facts
from gradual.ground.files import read_parquet, write_parquet
from gradual.ground.settings import add_paths
from gradual.training.drawn_answers import draw_answers
from gradual.training.examples import build_examples
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "selection", "facts", "examples")
    parser.add_argument("--run", required=True, help="the name of the run")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)
    facts = read_facts(args.facts)
    own = build_examples(read_parquet(args.selection, "a selection of facts", ("fact_id", "role")), facts)
    drawn = draw_answers(own, facts, args.seed, args.run)
    log.info("%d of %d drawn answers equal the fact's own", (drawn["answer"] == own["answer"]).sum(), len(drawn))
    write_parquet(drawn, args.examples)


if __name__ == "__main__":
    report(main)
