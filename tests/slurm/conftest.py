"""Fixtures for tests on a real SLURM: a cluster on this machine, and the undisturbed results of a run without one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import cluster as slurm
import runs
from project_copy import copy_project


@pytest.fixture(scope="session")
def cluster() -> Iterator[slurm.Cluster]:
    """A cluster of one node with four GPUs; skips where none can be started."""
    if why := slurm.missing():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        started = slurm.start(Path(folder) / "cluster")
        yield started
        slurm.stop(started.folder)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the tiny study's two stages have run on this machine, without a cluster."""
    folder = tmp_path_factory.mktemp("local")
    copy_project(folder / "project")
    runs.finish(runs.start(folder / "project", folder / "log", *runs.LOCAL), folder / "log")
    return folder / "project"
