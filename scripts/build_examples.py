"""Write the examples of a run: the question and the answer of each selected fact."""

import argparse
import logging

from gradual.data.facts import read_facts
from gradual.ground.files import read_parquet, write_parquet
from gradual.ground.settings import add_paths
from gradual.training.examples import build_examples
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "selection", "facts", "examples")
    args = parser.parse_args(argv)
    selection = read_parquet(args.selection, "a selection of facts", ("fact_id", "role"))
    examples = build_examples(selection, read_facts(args.facts))
    log.info("examples by role and source:\n%s", examples.groupby(["role", "source"]).size().to_string())
    write_parquet(examples, args.examples)


if __name__ == "__main__":
    report(main)
