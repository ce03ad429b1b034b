"""What is asked of SLURM: the name of a run in Snakemake's log, and whether jobs of it are left."""

from pathlib import Path

import pytest

from gradual.ground.errors import InputError
from gradual.workflow import slurm


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Puts a squeue first on PATH that runs the given shell commands."""

    def install(commands: str) -> None:
        program = tmp_path / "squeue"
        program.write_text(f"#!/bin/sh\n{commands}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return install


def log(folder: Path, text: str) -> str:
    path = folder / "snakemake.log"
    path.write_text(text)
    return str(path)


def test_a_run_has_the_name_that_its_log_tells(tmp_path):
    told = log(tmp_path, "host: a\nSLURM run ID: 1f0c-22\nUsing shell: /bin/bash\n")
    assert slurm.run_name([told]) == "1f0c-22"


def test_a_run_that_submits_no_jobs_has_none(tmp_path):
    assert slurm.run_name([log(tmp_path, "Using shell: /bin/bash\n")]) == ""


def test_the_jobs_that_are_left_are_those_of_the_run_by_name(squeue):
    squeue('[ "$3 $4" = "--name 1f0c-22" ] && printf "7\\n12\\n"')
    assert slurm.jobs_of("1f0c-22") == ["7", "12"]


def test_no_job_is_left_where_slurm_names_none(squeue):
    squeue("true")
    assert slurm.jobs_of("1f0c-22") == []


def test_no_job_is_left_where_there_is_no_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.jobs_of("1f0c-22") == []


def test_a_slurm_that_does_not_answer_is_an_error_that_says_so(squeue):
    squeue("echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(InputError, match="does not say which jobs it has .Unable to contact slurm controller"):
        slurm.jobs_of("1f0c-22")
