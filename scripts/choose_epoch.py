"""Choose a run's epoch by its accuracy and make that epoch's adapter the run's."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from gradual.ground.errors import report
from gradual.ground.files import write_json
from gradual.knowledge.accuracy import choose_epoch
from gradual.models.adapters import copy_adapter, read_epochs

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accuracy", type=Path, required=True)
    parser.add_argument("--split", choices=["dev", "test"], required=True)
    parser.add_argument("--epochs", type=Path, required=True, help="handle of the run's epochs")
    parser.add_argument("--adapter", type=Path, required=True, help="where the chosen epoch's adapter goes")
    parser.add_argument("--chosen", type=Path, required=True)
    args = parser.parse_args(argv)
    epochs = read_epochs(args.epochs)
    epoch = choose_epoch(pd.read_csv(args.accuracy), args.split)
    log.info("epoch %d of %d, chosen on %s", epoch, len(epochs), args.split)
    copy_adapter(epochs[epoch - 1], args.adapter)
    write_json({"epoch": epoch, "chosen_on": args.split}, args.chosen)


if __name__ == "__main__":
    report(main)
