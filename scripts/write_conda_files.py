"""Write the conda file of each environment from its lock, for `--sdm conda` (`make envs`).

A conda file lists the pins itself, because Snakemake copies it to another folder, where it cannot refer to the lock. A
lock whose name ends in -cpu replaces another lock in tests without a GPU. It has no conda file, and nor has that of the
documentation, because no rule runs there.
"""

import argparse
from pathlib import Path

import yaml

from gradual.ground.files import write_text
from gradual.workflow.starting import report

ENVIRONMENTS = Path(__file__).resolve().parents[1] / "envs"
PYTHON = "3.11"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=ENVIRONMENTS, help="the folder of the locks and of the conda files"
    )
    args = parser.parse_args(argv)
    for lock in with_conda_file(args.folder):
        write_text(conda_file(lock), lock.with_suffix(".yaml"))


def with_conda_file(folder: Path) -> list[Path]:
    """The locks that have a conda file."""
    return [lock for lock in sorted(folder.glob("*.lock")) if not lock.stem.endswith("-cpu") and lock.stem != "docs"]


def lines(lock: Path) -> list[str]:
    """The pins and pip options of a lock, without comments."""
    found = [line.partition(" #")[0].strip() for line in lock.read_text(encoding="utf-8").splitlines()]
    return [line for line in found if line and not line.startswith("#")]


def conda_file(lock: Path) -> str:
    """The text of a lock's conda file."""
    content = {"channels": ["conda-forge"], "dependencies": [f"python={PYTHON}", "pip", {"pip": lines(lock)}]}
    return f"# Written by `make envs` from {lock.name}.\n" + yaml.safe_dump(content, sort_keys=False, width=1000)


if __name__ == "__main__":
    report(main)
