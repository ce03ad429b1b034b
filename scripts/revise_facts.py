"""Write the revisions of a study: the answers that facts come to have, and the groups of facts that runs train on."""

import argparse
import logging
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.data.readers.dated_answers import read_dated_answers
from gradual.data.revision_draws import RevisionSettings, make_revisions
from gradual.ground.files import read_parquet, write_parquet
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as parser_of
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "facts", "revisions", "groups")
    parser.add_argument(
        "--told", type=Path, nargs="*", default=[], help="exposure of the corpus, which knows the false answers"
    )
    parser.add_argument("--settings", type=parser_of(RevisionSettings), required=True, help="of the config, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)
    facts, settings, false_answers = read_facts(args.facts), args.settings, {}
    for path in args.told:
        told = read_parquet(path, "the exposure of facts", ("fact_id", "false_answer"))
        false_answers = dict(zip(told["fact_id"], told["false_answer"], strict=True))
    dated = read_dated_answers(Path(settings.file).expanduser(), settings.columns, facts) if settings.file else None
    revisions, groups = make_revisions(facts, settings, args.seed, false_answers, dated)
    log.info("facts by domain and role:\n%s", groups.groupby(["domain", "role"]).size().to_string())
    log.info("answers by revision:\n%s", revisions["revision"].value_counts().sort_index().to_string())
    write_parquet(groups, args.groups)
    write_parquet(revisions, args.revisions)


if __name__ == "__main__":
    report(main)
