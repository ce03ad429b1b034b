"""Copy a finished study's tables and provenance to where the repository keeps them."""

import argparse
import shutil
from pathlib import Path

from gradual import layout
from gradual.errors import InputError, report
from gradual.files import write_atomically


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/<study>")
    parser.add_argument("--reference", type=Path, required=True)
    args = parser.parse_args(argv)
    files = [args.results / layout.tables(), args.results / layout.provenance()]
    for file in files:
        if not file.exists():
            raise InputError(file, "is missing", "a finished study (make tables)")
    for file in [*files, *sorted((args.results / "tables").iterdir())]:
        with write_atomically(args.reference / file.relative_to(args.results)) as temporary:
            shutil.copyfile(file, temporary)


if __name__ == "__main__":
    report(main)
