"""Compare the base models that `make pretrained` made again with the shipped ones, and ship those that are new.

A model whose recipe is on the shelf must be equal to the one there. Another model is put there, under the name of its
study, model and seed.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from gradual.ground.files import read_json
from gradual.models.shipped import CARD, SHELF, equal, find, ship
from gradual.planning.models import text_of
from gradual.study.load_study import load_study
from gradual.workflow.provenance import hardware, packages
from gradual.workflow.starting import report

ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="default, or the name of a file of studies/")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    args = parser.parse_args(argv)
    config, shelf = load_study(args.study, args.root), args.root / SHELF
    different = False
    for handle in sorted((args.root / "results" / args.study).glob("seed*/*/base-again/base.json")):
        made, model = handle.parent, handle.parents[1].name
        seed = int(handle.parents[2].name.removeprefix("seed"))
        recipe = read_json(made.with_name(f"{made.name}.recipe.json"), "the recipe of a base model")
        if shipped := find(recipe, shelf):
            same = equal(made, shipped)
            different |= not same
            print(f"{shipped.name}: {'equal' if same else 'DIFFERENT'} when made again")
            continue
        folder = shelf / f"{args.study}-{model}-seed{seed}"
        made_here = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "processor": hardware()["cpu"], "packages": packages()}
        ship(made, folder, recipe, {"text": text_of(config), "made": made_here})
        print(f"{folder.name}: shipped, with its card {folder / CARD}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    report(main)
