"""`uv run snakemake …` with uv.lock. Nothing is downloaded or changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project_copy import ROOT, copy_project

UV = Path(sys.executable).with_name("uv")


@pytest.fixture
def uv(tmp_path):
    """A function that runs uv in a copy of the project, with this environment as the project's."""
    project = copy_project(tmp_path / "project")
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, project)
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}

    def run(*words):
        done = subprocess.run([UV, *words], cwd=project, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_snakemake_and_its_jobs_run_in_the_environment_of_uv(uv, tmp_path):
    made = "results/tiny/seed0/facts.parquet"
    study = ("--configfile", "tests/workflow/tiny.yaml", "--", made)
    uv("run", "--frozen", "--no-sync", "snakemake", "--cores", "1", *study)
    assert (tmp_path / "project" / made).is_file()


def test_the_environment_of_make_has_all_that_uv_would_install(uv):
    done = uv("sync", "--frozen", "--inexact", "--dry-run", "--group", "develop")
    assert "Would make no changes" in done.stderr
