"""Turn a raw dataset, or the generated world, into the study's facts table."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from gradual import facts as f
from gradual.errors import InputError, report
from gradual.files import write_csv, write_parquet
from gradual.readers import READERS
from gradual.readers.raw import verify
from gradual.world import build_world

log = logging.getLogger("gradual")


def build(
    dataset: dict[str, Any], world: dict[str, Any], source: Path | None, exemplars: dict[str, int], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The study's facts, the communities of their subjects, and the counts of facts as read and as kept.

    `exemplars` says how many other facts of the same relation a split must have to show with any fact.
    """
    if dataset["reader"] == "world":
        file = "world"
        table, communities = build_world(world, seed)
    else:
        file = str(source)
        if dataset["manifest"]:
            log.info("%d raw files are those of the manifest", verify(source, Path(dataset["manifest"])))
        table = READERS[dataset["reader"]](source, type_from=dataset["type_from"])
        communities = pd.DataFrame({"subject": [], "community": []}, dtype=str)
    read = f.count(f.validate(table, file))
    if dataset["relations"]:
        table = f.keep_relations(table, dataset["relations"], file)
    table = f.single_answer(table, dataset["single_answer"])
    table = f.carve(table, dataset["carve"], seed, file)
    table = f.drop_overlap(table, dataset["drop_overlap"])
    table = f.sample(table, dataset["max_facts"], seed)
    for split in ("train", "dev", "test"):
        if split not in set(table["split"]):
            raise InputError(file, f"no facts in split {split!r}", "train, dev and test facts", key="dataset.carve")
    for split, shots in exemplars.items():
        f.check_exemplars(table, split, shots, file)
    counts = pd.concat([read.assign(stage="read"), f.count(table).assign(stage="kept")])
    return table, communities, counts[["stage", "split", "facts", "single_answer", "relations"]]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=json.loads, required=True, help="the config's section, as JSON")
    parser.add_argument("--world", type=json.loads, required=True, help="the config's section, as JSON")
    parser.add_argument("--exemplars", type=json.loads, required=True, help="exemplars needed by split, as JSON")
    parser.add_argument("--source", type=Path, help="raw files: a folder or an archive")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--communities", type=Path, required=True)
    parser.add_argument("--counts", type=Path, required=True)
    args = parser.parse_args(argv)
    table, communities, counts = build(args.dataset, args.world, args.source, args.exemplars, args.seed)
    log.info("facts:\n%s", counts.to_string(index=False))
    write_csv(counts, args.counts)
    write_parquet(communities, args.communities)
    write_parquet(table, args.facts)


if __name__ == "__main__":
    report(main)
