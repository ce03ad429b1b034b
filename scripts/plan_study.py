"""Print what a study would ask, train, take and leave behind; after it ran, what it took beside it: `make plan`."""

import argparse
import sys
from pathlib import Path

from gradual.planning.actuals import taken_of
from gradual.planning.report import render
from gradual.planning.rows import plan_rows
from gradual.planning.throughputs import device
from gradual.study.load_study import load_study
from gradual.workflow.profiles import read_profile


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="default", help="default, the name of a file in studies/, or a path")
    parser.add_argument("--profile", default="profiles/default", help="says how many GPUs a job has")
    parser.add_argument(
        "--gpu", default="", help="line of throughputs.csv; without it A100, or CPU for models made here"
    )
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the project's folder")
    args = parser.parse_args(argv)
    config = load_study(args.study, args.root)
    profile = read_profile(args.profile, args.root)
    made_here = all(model["source"] == "pretrain" for model in config["models"].values())
    planned = plan_rows(config, args.root, profile, device(args.gpu or ("CPU" if made_here else "A100")))
    taken, source = taken_of(config, args.root, profile)
    sys.stdout.write(render(config, profile, planned, taken, source))


if __name__ == "__main__":
    from gradual.workflow.starting import report

    report(main)
