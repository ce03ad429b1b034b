"""List the jobs that Snakemake would run with these options, and the reasons (`make changed`)."""

import argparse
import subprocess
import sys

from gradual.workflow.rerun_reasons import explain
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="All options go to Snakemake, such as --configfile FILE."
    )
    _, options = parser.parse_known_args(argv)
    command = [sys.executable, "-m", "snakemake", "-n", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout)
    print(explain(done.stdout), end="")


if __name__ == "__main__":
    report(main)
