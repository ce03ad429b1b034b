"""Which GPUs a job may use: those that a scheduler gave it, or else free ones of this machine, shared with no other job."""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gradual.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
SCHEDULED = "SLURM_JOB_ID"  # set in a job of SLURM, whose GPUs are its own
SECONDS_BETWEEN_TRIES = 0.5


def here() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none without one."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name.strip() not in ("", "-1")]
    try:
        query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []


@contextmanager
def taken(count: int, folder: Path | None = None) -> Iterator[list[str]]:
    """Hold `count` GPUs while the context lasts, and make CUDA see these only; waits until so many are free.

    A scheduler's job has its GPUs already, and a job of none sees none. Locks on files in `folder`, which all jobs of a
    user share, mark the GPUs that are held; the system releases them when a process ends, however it ends. Raises
    InputError where the machine has fewer.
    """
    if SCHEDULED in os.environ:
        yield here()
        return
    names = here()
    if count > len(names):
        expected = f"at most its {len(names)} (set-resources in the profile, or --resources gpu={len(names)})"
        raise InputError("the job", f"asks for {count} GPUs of this machine", expected, key="gpu")
    folder = folder or Path(tempfile.gettempdir()) / f"gradual-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as held:
        found: list[str] = []
        if count:
            with (folder / "queue").open("w") as queue:  # one job takes GPUs at a time: none waits with half of its own
                fcntl.flock(queue, fcntl.LOCK_EX)
                while len(found) < count:
                    for name in names:
                        if len(found) < count and name not in found and _take(folder / name, held):
                            found.append(name)
                    if len(found) < count:
                        time.sleep(SECONDS_BETWEEN_TRIES)
        before = os.environ.get(VISIBLE)
        os.environ[VISIBLE] = ",".join(found)
        try:
            yield found
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _take(file: Path, held: ExitStack) -> bool:
    lock = held.enter_context(file.open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
