"""The start of a training on one or several ranks, and how the ranks end together.

A script that has several GPUs starts itself again as several ranks (`launch`). After SIGTERM, the ranks finish their step,
save a checkpoint and end. torchrun would give them only 30 seconds for this, so it ignores SIGTERM. Instead, the launcher
writes a file into a folder that it shares with the ranks. A rank that fails writes its cause into the same folder.
"""

import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gradual.training.ranks import FOLDER, NOTICE, launched, rank, told
from gradual.workflow.gpus import taken
from gradual.workflow.starting import explanation, gpus_asked, report

CAUSE = "cause-of-rank-{}"
KILLED = re.compile(r"^\s*exitcode\s*: -(\d+) ")  # the signal that killed a rank, in the summary of torchrun
PR_SET_PDEATHSIG = 1  # see prctl(2)


def on_ranks(script: Path, main: Callable[[], None]) -> None:
    """Run a training script's main as `starting.report` does, with one rank for each GPU of its option --gpus."""
    report(lambda: _start(script, main))


def _start(script: Path, main: Callable[[], None]) -> None:
    if launched():
        with ordered_end():
            main()
        return
    count = gpus_asked()
    with taken(count):
        if count > 1:
            launch(script, sys.argv[1:], count)
        else:
            with ordered_end():
                main()


def launch(script: Path, arguments: Sequence[str], count: int) -> None:
    """Run a script as `count` ranks on this machine. Their log goes to the log of this process.

    If a rank fails, this process exits with status 1, and the log ends with the cause of the rank that failed first. If
    signal n killed a rank, it exits with status 128 + n.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [*torchrun, "--signals-to-handle", "SIGINT", "--", str(script), *arguments]
    with (
        tempfile.TemporaryDirectory(prefix="gradual-ranks-") as name,
        _heeding(lambda _: (Path(name) / NOTICE).touch()),
    ):
        run = subprocess.Popen(
            command,
            env=os.environ | {FOLDER: name, "OMP_NUM_THREADS": str(threads(count))},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_as_torchrun,
        )
        try:
            killed = _pass_on(run)
            status = run.wait()
        finally:
            run.kill()  # after an error here or SIGINT; the ranks end with torchrun
            run.wait()
        if killed:
            print(f"error: a rank was ended by signal {killed}", file=sys.stderr)
            sys.exit(128 + killed)
        if status:
            sys.exit(_cause(Path(name)) or f"error: torchrun ended with status {status}")


def threads(count: int) -> int:
    """The number of threads of each of `count` ranks. They share the job's threads, or the machine's cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, (int(given) if given.isdigit() else len(os.sched_getaffinity(0))) // count)


@contextmanager
def ordered_end() -> Iterator[None]:
    """Record SIGTERM for `ranks.noticed` instead of ending. A rank also leaves the cause of its failure to the launcher.

    A rank is killed when torchrun ends, so that it cannot write files that a new start also writes. Only the first rank
    logs its progress.
    """
    if launched():
        _die_with_parent()
        if rank() > 0:
            logging.getLogger("gradual").setLevel(logging.WARNING)
    try:
        with _heeding(told.append):
            yield
    except Exception as error:
        if not launched():
            raise
        (Path(os.environ[FOLDER]) / CAUSE.format(rank())).write_text(explanation(error), encoding="utf-8")
        sys.exit(1)
    finally:
        told.clear()


@contextmanager
def _heeding(notice: Callable[[int], object]) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda signum, frame: notice(signum))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _as_torchrun() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _pass_on(run: subprocess.Popen[str]) -> int:
    """Copy the ranks' log to this process's log until they end. Returns the signal that killed a rank, or 0."""
    killed = 0
    for line in run.stderr or ():
        sys.stderr.write(line)
        sys.stderr.flush()
        if found := KILLED.match(line):
            killed = int(found[1])
    return killed


def _cause(folder: Path) -> str:
    """The cause of the rank that failed first. The other ranks fail only because they lost this rank."""
    causes = sorted(folder.glob(CAUSE.format("*")), key=lambda file: file.stat().st_mtime_ns)
    return causes[0].read_text(encoding="utf-8") if causes else ""
