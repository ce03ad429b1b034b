"""Turn a raw dataset, which is downloaded if it is not here, or the generated world into the study's facts table."""

import argparse
import json
import logging

from gradual.data.dataset import build_dataset, raw_source
from gradual.data.download import fetch
from gradual.ground.files import write_csv, write_parquet
from gradual.ground.settings import add_paths
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dataset", type=json.loads, required=True, help="what counts of the config's section, as JSON"
    )
    parser.add_argument("--world", type=json.loads, required=True, help="the config's section, as JSON")
    parser.add_argument("--exemplars", type=json.loads, required=True, help="exemplars needed by split, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    add_paths(parser, "facts", "communities", "counts")
    args = parser.parse_args(argv)
    dataset = dict.fromkeys(("path", "url", "sha256")) | args.dataset
    fetch(dataset)
    made = build_dataset(dataset, args.world, raw_source(dataset), args.exemplars, args.seed)
    log.info("facts:\n%s", made.counts.to_string(index=False))
    write_csv(made.counts, args.counts)
    write_parquet(made.communities, args.communities)
    write_parquet(made.facts, args.facts)


if __name__ == "__main__":
    report(main)
