"""Write the examples of a run that trains as many steps as another run: its own ones, repeated to as many rows."""

import argparse
import logging

from gradual.ground.files import write_parquet
from gradual.ground.settings import add_paths
from gradual.knowledge.selection_roles import TRAIN
from gradual.training.examples import read_examples
from gradual.training.repeated_examples import repeat_examples
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "own", "other", "examples")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)
    own, other = read_examples(args.own), read_examples(args.other)
    examples = repeat_examples(own, int((other["role"] == TRAIN).sum()), args.seed)
    log.info("%d rows to train on, of %d examples", (examples["role"] == TRAIN).sum(), (own["role"] == TRAIN).sum())
    write_parquet(examples, args.examples)


if __name__ == "__main__":
    report(main)
