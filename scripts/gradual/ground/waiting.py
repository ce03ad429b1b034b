"""One process at a time: the others wait. The operating system releases a lock when its process ends, however it ends."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("gradual")


@contextmanager
def alone(lock: Path, work: str) -> Iterator[None]:
    """Hold the lock while the body runs. `work` says in the log what the other process does, such as "downloads x"."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process %s; waiting for it", work)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
