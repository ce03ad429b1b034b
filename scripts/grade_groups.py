"""Grade a state's answers about the groups against every revision, and check that its adapter changed an answer."""

import argparse
import logging
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.data.revisions import read_revisions
from gradual.ground.files import write_parquet
from gradual.ground.settings import add_paths
from gradual.knowledge.revision_grades import check_answers_changed, grade_revisions
from gradual.knowledge.scoring import RULES
from gradual.probe.generations import read_generations
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "generations", "facts", "revisions", "grades")
    parser.add_argument(
        "--parent", type=Path, nargs="*", default=[], help="the parent's raw answers; the origin has no parent"
    )
    parser.add_argument(
        "--scoring", choices=list(RULES), required=True, help="the scoring rule that says what is right"
    )
    parser.add_argument("--state", required=True)
    args = parser.parse_args(argv)
    generations = read_generations([args.generations], "wording")
    for parent in args.parent:
        check_answers_changed(generations, read_generations([parent], "wording"), args.state)
    grades = grade_revisions(generations, read_facts(args.facts), read_revisions(args.revisions), args.scoring)
    shares = grades.groupby(["wording", "revision"])["right"].mean()
    log.info("share of right answers by wording and revision:\n%s", shares.to_string())
    write_parquet(grades, args.grades)


if __name__ == "__main__":
    report(main)
