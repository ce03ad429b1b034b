"""Write the examples of a run that augments its questions: its own ones, and the augmented ones that it keeps."""

import argparse
import logging

from gradual.ground.files import write_parquet
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as settings
from gradual.training.augment_settings import Keep
from gradual.training.augmentation import read_augmented
from gradual.training.augmented_selection import add_augmented, keep_rows
from gradual.training.examples import read_examples
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "own", "augmented", "examples")
    parser.add_argument("--keep", type=settings(Keep), required=True, help="which augmented rows are kept, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)
    augmented = read_augmented(args.augmented)
    examples = add_augmented(read_examples(args.own), keep_rows(augmented, args.keep, args.seed))
    log.info("examples by role and source:\n%s", examples.groupby(["role", "source"]).size().to_string())
    write_parquet(examples, args.examples)


if __name__ == "__main__":
    report(main)
