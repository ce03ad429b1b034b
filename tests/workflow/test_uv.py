"""`uv run snakemake …` with uv.lock. Nothing is downloaded or changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project_copy import ROOT

UV = Path(sys.executable).with_name("uv")


@pytest.fixture
def uv(tmp_path):
    """A function that runs uv in a copy of the project's declarations, with this environment as the project's."""
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, tmp_path)
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}

    def run(*words):
        done = subprocess.run([UV, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_snakemake_runs_in_the_environment_of_uv(uv):
    assert uv("run", "--frozen", "--no-sync", "snakemake", "--version").stdout.strip().startswith("9.")


def test_the_environment_of_make_has_all_that_uv_would_install(uv):
    done = uv("sync", "--frozen", "--inexact", "--dry-run", "--group", "develop")
    assert "Would make no changes" in done.stderr
