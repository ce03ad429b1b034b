"""The GPUs of a job. A job holds GPUs of its machine, or of its SLURM allocation, that no other job holds."""

import fcntl
import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path

from gradual.ground.errors import InputError

log = logging.getLogger("gradual")
VISIBLE = "CUDA_VISIBLE_DEVICES"
NAME = re.compile(r"\d+|(GPU|MIG)-.+")  # names of GPUs; CUDA ignores all words after any other word
ALLOCATION = "SLURM_JOB_ID"
SECONDS_BETWEEN_TRIES = 0.5


def here() -> list[str]:
    """The names of the GPUs that this process may use, in the format of CUDA_VISIBLE_DEVICES."""
    if VISIBLE in os.environ:
        words = os.environ[VISIBLE].split(",")
    else:
        try:
            query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
            words = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
        except (OSError, subprocess.SubprocessError):
            return []
    return list(dict.fromkeys(takewhile(NAME.fullmatch, map(str.strip, words))))


@contextmanager
def taken(count: int, folder: Path | None = None) -> Iterator[list[str]]:
    """Hold `count` GPUs while the context lasts, and make only these visible to CUDA. Waits until enough are free.

    Locks on files in `folder` mark the GPUs that are held. All jobs of a user share this folder. In a SLURM allocation,
    only the jobs of the allocation share it, because they alone use its GPUs. The operating system releases the locks
    when a process ends, even if it is killed. Raises InputError if the machine has fewer GPUs.
    """
    names = here()
    if count > len(names):
        expected = f"at most the {len(names)} here (set-resources in the profile, or --resources gpu={len(names)})"
        raise InputError("the job", f"asks for {count} GPUs", expected, key="gpu")
    with ExitStack() as held:
        found = _found(count, names, folder or _shared_folder(), held) if count else []
        before = os.environ.get(VISIBLE)
        os.environ[VISIBLE] = ",".join(found)
        try:
            yield found
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _shared_folder() -> Path:
    allocation = os.environ.get(ALLOCATION)
    name = f"gradual-gpus-{os.getuid()}" + (f"-{allocation}" if allocation else "")
    return Path(tempfile.gettempdir()) / name


def _found(count: int, names: list[str], folder: Path, held: ExitStack) -> list[str]:
    """The names of `count` GPUs. `held` keeps their locks."""
    found: list[str] = []
    waiting = False
    folder.mkdir(mode=0o700, exist_ok=True)
    # Only one job at a time takes GPUs, so that no two jobs wait for each other with a part of their GPUs.
    with (folder / "queue").open("w") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        while True:
            for name in names:
                if len(found) < count and name not in found and _lock(folder / name.replace("/", "-"), held):
                    found.append(name)
            if len(found) == count:
                return found
            if not waiting:
                log.info("waiting until %d of these GPUs are free: %s", count, ", ".join(names))
                waiting = True
            time.sleep(SECONDS_BETWEEN_TRIES)


def _lock(file: Path, held: ExitStack) -> bool:
    lock = file.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    held.enter_context(lock)
    return True
