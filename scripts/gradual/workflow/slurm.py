"""A Snakemake run in SLURM: its name, and its jobs in SLURM's queue."""

import re
import shutil
import subprocess
from pathlib import Path

from gradual.ground.errors import InputError

RUN_NAME = re.compile(r"^SLURM run ID: (\S+)$", re.MULTILINE)
SECONDS = 60  # to wait for an answer of SLURM


def run_name(logs: list[str]) -> str:
    """The name of all SLURM jobs of a Snakemake run, from Snakemake's logs. Empty if the run does not use SLURM."""
    named = RUN_NAME.findall("\n".join(Path(log).read_text(encoding="utf-8", errors="replace") for log in logs))
    return named[-1] if named else ""


def jobs_of(run: str) -> list[str]:
    """The numbers of a run's jobs that wait or run. Empty if this host has no SLURM.

    Raises InputError if SLURM does not answer.
    """
    if not shutil.which("squeue"):
        return []
    ask = ["squeue", "--noheader", "--format=%i", "--name", run]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        cause = (getattr(error, "stderr", None) or str(error)).strip()
        raise InputError("SLURM", f"does not say which jobs it has ({cause})", "an answer to squeue") from error
