"""The provenance of results: git commit, packages, locks, hardware, and the time and memory of jobs."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.files import digest

PACKAGES = ("snakemake", "torch", "transformers", "peft", "accelerate", "tokenizers", "numpy", "pandas", "pyarrow")


def git_state(root: Path) -> dict[str, Any]:
    """The commit of the checkout and whether tracked files differ from it; empty outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def hardware() -> dict[str, Any]:
    """The processor, the number of cores, the memory in GiB, and the names of the GPUs that nvidia-smi reports."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        gpus = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        gpus = []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory, 1), "gpus": [g for g in gpus if g]}


def packages() -> dict[str, str | None]:
    """The versions of Python and of the packages that results depend on; null for one of other jobs' environments."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def locks(folder: Path) -> dict[str, str]:
    """The SHA-256 of each lock in the folder. The environments of the jobs are made from these locks."""
    return {file.name: digest(file) for file in sorted(folder.glob("*.lock"))}


SEED = re.compile(r"\bseed\d+\b")  # in the name of a job's benchmark file


def timings(benchmarks: Path, counted: set[str]) -> list[dict[str, Any]]:
    """Jobs, seconds and peak memory (MiB) by rule, from Snakemake's benchmark files. The last run of a job counts.

    `counted` are benchmark files, relative to results/<study>. Other files of the same rules, and those of seeds that no
    counted file has, do not count, because they may belong to runs and seeds that the study no longer has.
    """
    rows: list[dict[str, Any]] = []
    seeds = {seed for path in counted for seed in SEED.findall(path)}
    rules = {Path(path).parent.name for path in counted}
    for file in sorted(benchmarks.rglob("*.tsv")):
        if file.parent.name in rules and str(file.relative_to(benchmarks.parent)) not in counted:
            continue
        if seeds and not seeds.issuperset(SEED.findall(file.name)):
            continue
        run = pd.read_csv(file, sep="\t", na_values="-").iloc[-1]
        rows.append({"rule": file.parent.name, "seconds": float(run["s"]), "max_rss_mib": float(run["max_rss"])})
    if not rows:
        return []
    by_rule = pd.DataFrame(rows).groupby("rule", sort=False)
    table = by_rule.agg(jobs=("seconds", "size"), seconds=("seconds", "sum"), max_rss_mib=("max_rss_mib", "max"))
    return table.round(1).reset_index().to_dict("records")
