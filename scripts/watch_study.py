"""Show what a study is doing: the jobs at work, how far each one is, and the time that is left."""

import argparse
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from gradual.workflow.starting import report
from gradual.workflow.watching import last_run, picture

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 5  # between two pictures
CLEAR = "\033[H\033[2J"  # of a terminal


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="the name of the study")
    parser.add_argument("--once", action="store_true", help="show one picture, and end")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of the project")
    args = parser.parse_args(argv)
    with suppress(KeyboardInterrupt):
        while True:
            run = last_run(Path("results") / args.study, args.root)
            shown = picture(args.study, run, args.root, datetime.now())
            print(f"{CLEAR if sys.stdout.isatty() else ''}{shown}", flush=True)
            if args.once or run is None or run.over:
                return
            time.sleep(SECONDS)


if __name__ == "__main__":
    report(main)
