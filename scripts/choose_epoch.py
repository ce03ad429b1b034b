"""Choose the epoch of a run by its accuracy, and copy its adapter as the adapter of the run."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from gradual.knowledge.epoch_choice import choose_epoch
from gradual.models.adapters import read_epochs, write_chosen
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accuracy", type=Path, required=True)
    parser.add_argument("--split", choices=["dev", "test"], required=True)
    parser.add_argument("--epochs", type=Path, required=True, help="handle of the run's epochs")
    parser.add_argument(
        "--adapter", type=Path, required=True, help="handle of the run's adapter; the adapter is written beside it"
    )
    args = parser.parse_args(argv)
    epochs = read_epochs(args.epochs)
    epoch = choose_epoch(pd.read_csv(args.accuracy), args.split)
    log.info("epoch %d of %d, chosen on %s", epoch, len(epochs), args.split)
    write_chosen(args.adapter, epochs[epoch - 1], {"epoch": epoch, "chosen_on": args.split})


if __name__ == "__main__":
    report(main)
