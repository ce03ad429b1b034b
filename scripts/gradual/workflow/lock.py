"""The lock of a study. Only one Snakemake at a time makes its results, and none starts while jobs of a killed one run.

The operating system releases a lock when its process ends, even if it is killed. So a killed run can be started again.
Snakemake's own lock would remain, and the profiles turn it off.
"""

import fcntl
from pathlib import Path
from typing import IO

from gradual.ground.errors import InputError
from gradual.workflow import slurm

STUDY = ".lock"  # held by Snakemake
JOBS = ".jobs"  # held by every running job; its content is the name of the SLURM run


def hold(results: Path, logs: list[str]) -> IO[str]:
    """Hold the study of a results folder until the returned file is closed or the process ends.

    Jobs share a second lock, which they still hold after Snakemake was killed. But jobs in SLURM's queue hold no lock yet,
    and jobs on other hosts hold it only if the file system supports this. So SLURM is also asked for jobs of the last
    run. Snakemake's `logs` have the name of the new run, which is recorded. Raises InputError if another Snakemake holds
    the study, or if jobs of a killed one are left.
    """
    results.mkdir(parents=True, exist_ok=True)
    lock = (results / STUDY).open("w")
    _lock(lock, f"another Snakemake is at work on {results}", "one Snakemake at a time")
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
