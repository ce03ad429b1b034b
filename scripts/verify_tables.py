"""Say whether a study's tables are the published ones, and if not, which cells differ and by how much.

The last line about a study says "equal to the published tables", or how many cells differ.
"""

import argparse
import sys
from pathlib import Path

from gradual.ground.errors import InputError
from gradual.ground.files import read_json
from gradual.study.result_files import PROVENANCE, path
from gradual.tables.differences import causes, counted, described, differences
from gradual.workflow.starting import report

ROOT = Path(__file__).resolve().parents[1]
EQUAL = "equal to the published tables"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", help="the study's name; without it, every published study with finished results")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="the folder of all studies' results")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 if any cell differs")
    args = parser.parse_args(argv)
    reference = args.results / "reference"
    published = [args.study] if args.study else sorted(folder.name for folder in reference.iterdir())
    finished = [study for study in published if (args.results / study / path(PROVENANCE)).is_file()]
    for study in published:
        if study not in finished:
            print(f"{study}: not compared, because {args.results / study} has no finished results")
    if not finished:
        raise InputError(args.results, "has no finished results to compare", "those of a study (make tables)")
    equal = [said(args.results / study, reference / study) for study in finished]
    if args.strict and not all(equal):
        sys.exit(1)


def said(results: Path, published: Path) -> bool:
    """Say how a study's results compare with the published ones; False if any cell differs."""
    study = results.name
    if not (published / path(PROVENANCE)).is_file():
        print(f"{study}: no tables of this study are published, so there are none to compare with")
        return True
    found = differences(published, results)
    schema = read_json(ROOT / "schemas" / "config.schema.json", "the schema of a config")
    for line in [*described(found), *causes(published, results, schema)]:
        print(f"{study}: {line}")
    print(f"{study}: {'not the published tables: ' + counted(found) if found else EQUAL}")
    return not found


if __name__ == "__main__":
    report(main)
