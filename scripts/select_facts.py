"""Select the facts that a run trains on, and its replay pool."""

import argparse
import json
import logging
from pathlib import Path

from gradual.ground.files import read_parquet, write_parquet
from gradual.knowledge.selection import select_facts
from gradual.knowledge.selection_roles import TRAIN
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--states", nargs="+", required=True, help="the states that have the categories")
    parser.add_argument(
        "--categories", type=Path, nargs="+", required=True, help="the categories of each state, in the same order"
    )
    parser.add_argument("--select", type=json.loads, required=True, help="the run's select, as JSON")
    parser.add_argument(
        "--replay", nargs="*", default=[], metavar=("STATE", "CATEGORY"), help="state and category of the replay pool"
    )
    parser.add_argument(
        "--size-of", type=Path, nargs="*", default=[], help="selection of another run; as many train facts are drawn"
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--selection", type=Path, required=True)
    args = parser.parse_args(argv)
    categories = {
        s: read_parquet(path, "categories of facts", ("fact_id", "category"))
        for s, path in zip(args.states, args.categories, strict=True)
    }
    size = None
    for other in args.size_of:
        size = int((read_parquet(other, "a selection", ("fact_id", "role"))["role"] == TRAIN).sum())
    selection = select_facts(categories, args.select, tuple(args.replay) or None, args.run, size, args.seed)
    found = selection["role"].value_counts().to_dict()
    log.info("selected: %s", found)
    if size is not None and found[TRAIN] < size:
        log.warning("there are only %d facts to select, but %s has %d", found[TRAIN], args.size_of[0], size)
    write_parquet(selection, args.selection)


if __name__ == "__main__":
    report(main)
