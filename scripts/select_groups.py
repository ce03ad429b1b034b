"""Select the facts that a run trains on, and its replay pool, by their roles in the groups of facts."""

import argparse
import logging
from pathlib import Path

from gradual.data.revisions import ROLES, read_groups
from gradual.ground.files import write_parquet
from gradual.knowledge.group_selection import select_groups
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--groups", type=Path, required=True)
    parser.add_argument("--facts", nargs="+", choices=ROLES, required=True, help="the roles of the facts to train on")
    parser.add_argument(
        "--domain", nargs="?", const="", default="", help="the domain in which the facts have these roles"
    )
    parser.add_argument("--replay", nargs="*", choices=ROLES, default=[], help="the roles of the facts to replay")
    parser.add_argument("--selection", type=Path, required=True)
    args = parser.parse_args(argv)
    selection = select_groups(read_groups(args.groups), args.facts, args.domain, args.replay, args.run)
    log.info("selected: %s", selection["role"].value_counts().to_dict())
    write_parquet(selection, args.selection)


if __name__ == "__main__":
    report(main)
