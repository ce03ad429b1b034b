"""Write the wordings of all questions, from the templates of their relations or from columns of a user's table."""

import argparse
import json
import logging

from gradual.data.dataset import find_files, raw_source
from gradual.data.facts import read_facts
from gradual.data.readers.table_wordings import read_table_wordings
from gradual.data.wording_templates import by_templates
from gradual.ground.files import write_parquet
from gradual.ground.settings import add_paths
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=json.loads, required=True, help="the config's section, as JSON")
    parser.add_argument("--numbers", type=int, nargs="+", required=True, help="the wordings, 0 among them")
    parser.add_argument("--columns", nargs="*", default=[], help="the columns of the wordings 1, 2, ...")
    add_paths(parser, "facts", "wordings")
    args = parser.parse_args(argv)
    facts = read_facts(args.facts)
    dataset = dict.fromkeys(("path", "url")) | args.dataset
    if args.columns and (source := raw_source(dataset)):
        question = dataset["columns"].get("question", "question")
        worded = read_table_wordings(find_files(dataset, source), question, args.columns, facts)
        worded = worded[worded["wording"].isin(args.numbers)]
    else:
        worded = by_templates(facts, args.numbers)
    log.info("%d questions in %d wordings", worded["fact_id"].nunique(), worded["wording"].nunique())
    write_parquet(worded, args.wordings)


if __name__ == "__main__":
    report(main)
