"""Write the examples of a run that trains on the answers of a revision, in each of the trained wordings."""

import argparse
import logging
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.data.question_wordings import read_wordings
from gradual.data.revisions import read_groups, read_revisions
from gradual.ground.files import read_parquet, write_parquet
from gradual.ground.settings import add_paths
from gradual.training.examples import build_examples
from gradual.training.revised_answers import revise_examples
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "selection", "facts", "revisions", "groups", "examples")
    parser.add_argument("--wordings", type=Path, nargs="*", default=[], help="without it, questions are the facts' own")
    parser.add_argument("--trained", type=int, nargs="+", required=True, help="the numbers of the trained wordings")
    parser.add_argument("--revision", type=int, nargs="*", default=[], help="without a number, the latest one")
    parser.add_argument(
        "--domain", nargs="?", const="", default="", help="the domain whose own facts keep their answers"
    )
    args = parser.parse_args(argv)
    selection = read_parquet(args.selection, "a selection of facts", ("fact_id", "role"))
    own = build_examples(selection, read_facts(args.facts))
    wordings = read_wordings(args.wordings[0]) if args.wordings else None
    revisions, groups = read_revisions(args.revisions), read_groups(args.groups)
    revision = args.revision[0] if args.revision else None
    examples = revise_examples(own, revisions, groups, revision, args.domain, wordings, args.trained)
    log.info("examples by role and source:\n%s", examples.groupby(["role", "source"]).size().to_string())
    write_parquet(examples, args.examples)


if __name__ == "__main__":
    report(main)
