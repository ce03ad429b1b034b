"""Write the conda file of each environment from its lock, for `--sdm conda` (`make envs`).

A conda file lists the pins itself, because Snakemake copies it to another folder, where it cannot refer to the lock. Some
locks have no conda file: torch.lock is a part of the environments that load models, develop.lock and docs.lock are for no
rule, and a lock whose name ends in -cpu replaces another lock in tests without a GPU.
"""

import argparse
import re
from pathlib import Path

import yaml

from gradual.ground.files import write_text
from gradual.workflow.starting import report

ENVIRONMENTS = Path(__file__).resolve().parents[1] / "envs"
PYTHON = "3.11"
PARTS = {name: (name, "torch") for name in ("train", "probe", "probe-cpu")}  # the locks of an environment, if several
ALONE = ("torch", "develop", "docs")  # these have no conda file
DIGEST = re.compile(r" *--hash=\S+")


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
    locks = sorted(folder.glob("*.lock"))
    return [lock for lock in locks if not lock.stem.endswith("-cpu") and lock.stem not in ALONE]


def lines(lock: Path) -> list[str]:
    """The pins and pip options of a lock, without comments and digests."""
    text = DIGEST.sub("", lock.read_text(encoding="utf-8").replace("\\\n", ""))
    found = [line.partition(" #")[0].strip() for line in text.splitlines()]
    return [line for line in found if line and not line.startswith("#")]


def conda_file(lock: Path) -> str:
    """The text of a lock's conda file."""
    pins = [pin for name in PARTS.get(lock.stem, (lock.stem,)) for pin in lines(lock.with_stem(name))]
    content = {"channels": ["conda-forge"], "dependencies": [f"python={PYTHON}", "pip", {"pip": pins}]}
    return f"# Written by `make envs` from {lock.name}.\n" + yaml.safe_dump(content, sort_keys=False, width=1000)


if __name__ == "__main__":
    report(main)
