"""Write the adapter of a run's last epoch times a factor as the adapter of the run."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from gradual.knowledge.epoch_choice import LAST
from gradual.models.adapters import read_epochs, write_chosen
from gradual.models.composition import scaled_adapter
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=Path, required=True, help="handle of the run's epochs")
    parser.add_argument("--scale", type=float, required=True, help="factor of what the training changed")
    parser.add_argument(
        "--adapter", type=Path, required=True, help="handle of the run's adapter; the adapter is written beside it"
    )
    args = parser.parse_args(argv)
    epochs = read_epochs(args.epochs)
    with TemporaryDirectory() as folder:
        scaled_adapter(epochs[-1], Path(folder), args.scale)
        write_chosen(args.adapter, Path(folder), {"epoch": len(epochs), "chosen_on": LAST, "scale": args.scale})


if __name__ == "__main__":
    report(main)
