"""Copy the adapter of a run's last epoch as the adapter of the run."""

import argparse
import logging
from pathlib import Path

from gradual.knowledge.epoch_choice import LAST
from gradual.models.adapters import read_epochs, write_chosen
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=Path, required=True, help="handle of the run's epochs")
    parser.add_argument(
        "--adapter", type=Path, required=True, help="handle of the run's adapter; the adapter is written beside it"
    )
    args = parser.parse_args(argv)
    epochs = read_epochs(args.epochs)
    log.info("epoch %d of %d", len(epochs), len(epochs))
    write_chosen(args.adapter, epochs[-1], {"epoch": len(epochs), "chosen_on": LAST})


if __name__ == "__main__":
    report(main)
