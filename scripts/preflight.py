"""Print what is missing before a study can run (`make preflight`). The exit status is 1 if anything is missing."""

import argparse
import sys
from pathlib import Path

from gradual.planning.preflight import MISSING, findings
from gradual.workflow.profiles import read_profile
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="default", help="default, the name of a file in studies/, or a path")
    parser.add_argument("--profile", default="profiles/default", help="a profile's folder or file")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the project's folder")
    args = parser.parse_args(argv)
    missing = 0
    for finding in findings(args.study, read_profile(args.profile, args.root), args.root):
        print(finding.line(), flush=True)
        missing += finding.level == MISSING
    if missing:
        sys.exit(f"{missing} missing")


if __name__ == "__main__":
    report(main)
