"""Copies of the project to run workflows in, so that tests leave nothing behind in it."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import forked_jobs
import forked_snakemake
from gradual.workflow import gpus

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
def _snakemake_runs() -> subprocess.Popen[str]:
    """The process that runs of Snakemake are forked from. It ends when this process ends, because that closes its input."""
    command = [sys.executable, forked_snakemake.__file__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@cache
def _forking_python() -> str:
    """The folder of a command `python` whose jobs are forked from a process that ends when this one does."""
    folder = tempfile.mkdtemp(prefix="forked-jobs-")
    atexit.register(shutil.rmtree, folder)
    address = f"{folder}/socket"
    command = [sys.executable, forked_jobs.__file__, address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen(command, env=os.environ | forked_jobs.SETTINGS, text=True, **pipes)
    assert server.stdout.readline() == "ready\n"
    atexit.register(server.communicate)
    client = {"interpreter": os.path.realpath(sys.executable), "python": sys.executable, "address": address}
    stand_in(Path(folder), "python", forked_jobs.CLIENT.format(settings=forked_jobs.SETTINGS, **client))
    return folder


def snakemake_in(folder: Path) -> Snakemake:
    """A function that runs Snakemake in the folder and returns its result, output and errors together in stdout.

    Snakemake and its jobs are forked from processes that have imported the libraries, because imports take longer than
    most runs and jobs here. Where there are GPUs, jobs are not forked, because a forked process cannot use a GPU that its
    parent has looked for. tests/workflow/test_killed.py has all jobs as processes of their own, as have real studies.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        before = [] if "-n" in words or gpus.here() else [_forking_python()]
        environment = {**os.environ, "PATH": os.pathsep.join([*before, path])}
        with tempfile.NamedTemporaryFile() as output:
            asked = {"folder": str(folder), "words": words, "environment": environment, "output": output.name}
            print(json.dumps(asked), file=_snakemake_runs().stdin, flush=True)
            status = int(_snakemake_runs().stdout.readline())
            return subprocess.CompletedProcess(words, status, Path(output.name).read_text(encoding="utf-8"))

    return run
