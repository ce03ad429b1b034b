"""Copies of the project to run workflows in, so that tests leave nothing behind in it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "rules", "scripts", "schemas", "studies", "profiles", "envs", "tests/workflow")

# What a dry run with conda environments asks of conda.
CONDA = """#!/bin/sh
case "$*" in
    info*) echo '{"conda_prefix": "/nowhere", "platform": "linux-64"}' ;;
    config*) echo '{"get": {"channel_priority": "strict"}}' ;;
    --version) echo conda 25.5.1 ;;
    *) exit 1 ;;
esac
"""

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def copy_project(folder: Path) -> Path:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / part)
    return folder


def stand_in(folder: Path, name: str, text: str) -> str:
    """Write a command of that name, and return a search path on which it comes before the machine's own."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@cache
def _dry_runs() -> subprocess.Popen[str]:
    """The process that dry runs are forked from. It ends when this process ends, because that closes its input."""
    command = [sys.executable, str(Path(__file__).with_name("dry_runs.py"))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def snakemake_in(folder: Path) -> Snakemake:
    """A function that runs Snakemake in the folder and returns its result, output and errors together in stdout."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": path}
        if "-n" in words:
            return dry_run(words, environment)
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )

    def dry_run(words: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """The same, in a process of which nothing but the imports is older."""
        with tempfile.NamedTemporaryFile() as output:
            asked = {"folder": str(folder), "words": words, "environment": environment, "output": output.name}
            print(json.dumps(asked), file=_dry_runs().stdin, flush=True)
            status = int(_dry_runs().stdout.readline())
            return subprocess.CompletedProcess(words, status, Path(output.name).read_text(encoding="utf-8"))

    return run
