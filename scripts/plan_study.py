"""Print an estimate of a study's prompts, trainings, hours and disk space, and its real costs after a run (`make plan`)."""

import argparse
import sys
from pathlib import Path

from gradual.planning.hours import CPU, device
from gradual.planning.report import render
from gradual.planning.rows import plan_rows
from gradual.study.load_study import load_study
from gradual.workflow.profiles import read_profile
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="default", help="default, the name of a file in studies/, or a path")
    parser.add_argument(
        "--profile", default="profiles/default", help="a profile's folder or file, which sets the GPUs of each job"
    )
    parser.add_argument(
        "--gpu", default="", help="a line of throughputs.csv; default: A100, or CPU if all models are pretrained here"
    )
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the project's folder")
    args = parser.parse_args(argv)
    config, profile = load_study(args.study, args.root), read_profile(args.profile, args.root)
    small = all(model["source"] == "pretrain" for model in config["models"].values())
    machine = device(args.gpu or (CPU if small else "A100"))
    rows, sources = plan_rows(config, args.root, profile, machine)
    sys.stdout.write(render(config, rows, sources, machine, args.root))


if __name__ == "__main__":
    report(main)
