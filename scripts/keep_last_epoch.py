"""Copy the adapter of a run's last epoch as the adapter of the run, multiplied by the run's scale."""

import argparse
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from gradual.models.adapters import read_epochs, write_chosen
from gradual.models.composition import scaled_adapter
from gradual.study.runs import LAST
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=Path, required=True, help="handle of the run's epochs")
    parser.add_argument("--scale", type=float, required=True, help="factor of what the training changed")
    parser.add_argument(
        "--adapter", type=Path, required=True, help="handle of the run's adapter; the adapter is written beside it"
    )
    args = parser.parse_args(argv)
    epochs = read_epochs(args.epochs)
    chosen = {"epoch": len(epochs), "chosen_on": LAST}
    if args.scale == 1:
        write_chosen(args.adapter, epochs[-1], chosen)
        return
    with TemporaryDirectory() as folder:
        scaled_adapter(epochs[-1], Path(folder), args.scale)
        write_chosen(args.adapter, Path(folder), chosen | {"scale": args.scale})
    log.info("epoch %d of %d, times %g", len(epochs), len(epochs), args.scale)


if __name__ == "__main__":
    report(main)
