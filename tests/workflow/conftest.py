"""Fixtures for workflow tests."""

from pathlib import Path

import pytest

from project_copy import copy_project, snakemake_in


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of the project, without results."""
    return copy_project(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the tiny study has run."""
    folder = copy_project(tmp_path_factory.mktemp("finished") / "project")
    done = snakemake_in(folder)("--cores", "2", "--configfile", "tests/workflow/tiny.yaml")
    assert done.returncode == 0, done.stdout[-6000:]
    return folder
