"""Fixtures for workflow tests."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from project_copy import copy_project, snakemake_in


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of the project, without results."""
    return copy_project(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the tiny study has run: once for all workers of pytest-xdist, each of which gets its
    own copy."""
    folder = tmp_path_factory.mktemp("finished") / "project"
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "finished"
    with open(f"{shared}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            done = snakemake_in(copy_project(folder))("--cores", "2", "--configfile", "tests/workflow/tiny.yaml")
            assert done.returncode == 0, done.stdout[-6000:]
            folder.rename(shared)
    return shutil.copytree(shared, folder)
