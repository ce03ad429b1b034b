"""Measure how far the adapters of a state move the weights of its base model."""

import argparse
from pathlib import Path

from gradual.ground.files import write_json
from gradual.ground.settings import add_paths
from gradual.models.adapters import adapter_folder
from gradual.models.weight_change import change_norm
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapters", type=Path, nargs="+", required=True, help="handles of the state's adapters")
    add_paths(parser, "change")
    args = parser.parse_args(argv)
    write_json({"norm": change_norm([adapter_folder(handle) for handle in args.adapters])}, args.change)


if __name__ == "__main__":
    report(main)
