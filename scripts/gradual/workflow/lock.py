"""The lock of a study: one Snakemake at a time makes its results, and none while jobs of a killed one are at work.

The system releases a lock when its process ends, however it ends, so that a killed run can be started again. (Snakemake's
own lock stays behind, and is off in the profiles.)
"""

import fcntl
from pathlib import Path
from typing import IO

from gradual.ground.errors import InputError
from gradual.workflow import slurm

STUDY, JOBS = ".lock", ".jobs"  # held by Snakemake; by every job at work, and it names the SLURM run whose jobs may be


def hold(results: Path, logs: list[str]) -> IO[str]:
    """Hold the study of a results folder until the returned file is closed or the process ends.

    Jobs that outlive a killed Snakemake hold a lock of their own, which they share. Jobs in SLURM's queue hold none yet,
    and jobs on other hosts hold one only where the file system passes locks on. So SLURM is asked for them, by the run's
    name in `logs`, Snakemake's own. Raises InputError where the study is held, or jobs of it are left.
    """
    results.mkdir(parents=True, exist_ok=True)
    lock = (results / STUDY).open("w")
    _lock(lock, f"another Snakemake is at work on {results}", "one at a time")
    with (results / JOBS).open("a+") as jobs:
        _lock(jobs, f"jobs of a Snakemake that was killed are still at work on {results}", "wait, or end them")
        jobs.seek(0)
        run = jobs.read().strip()
        if left := slurm.jobs_of(run) if run else []:
            problem = (
                f"jobs of a Snakemake that was killed are still in SLURM's queue for {results} ({', '.join(left)})"
            )
            raise InputError("SLURM", problem, f"wait, or end them with scancel --name {run}")
        jobs.truncate(0)
        jobs.write(slurm.run_name(logs))
    return lock


def _lock(file: IO[str], problem: str, expected: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(file.name, problem, expected) from None
