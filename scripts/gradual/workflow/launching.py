"""The start of a training on one or several ranks, and how the ranks end together.

A script that has several GPUs starts itself again, once per rank (`launch`). SIGTERM is notice to end: the ranks finish
their step, keep what they did and end. torchrun itself must not heed it, since it would give them 30 seconds only; so it
ignores SIGTERM. The launcher passes the notice on as a file in a folder that it shares with the ranks, and the ranks write
there what ended them.
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
KILLED = re.compile(r"^\s*exitcode\s*: -(\d+) ")  # of a rank, in the summary that torchrun prints
PR_SET_PDEATHSIG = 1  # see prctl(2)


def on_ranks(script: Path, main: Callable[[], None]) -> None:
    """Run a training script's main as `starting.report` does: as one rank per GPU of its option --gpus."""
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
    """Run a script as `count` ranks on this machine; their log is this process's.

    When they fail, exits with the cause that the first of them told as the log's last lines, and status 1; with status
    128 + n where signal n killed one.
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
            run.kill()  # on an error here or SIGINT; the ranks die with it
            run.wait()
        if killed:
            print(f"error: a rank was ended by signal {killed}", file=sys.stderr)
            sys.exit(128 + killed)
        if status:
            sys.exit(_cause(Path(name)) or f"error: torchrun ended with status {status}")


def threads(count: int) -> int:
    """Threads of each of `count` ranks, which share those of the job, or else the machine's cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, (int(given) if given.isdigit() else len(os.sched_getaffinity(0))) // count)


@contextmanager
def ordered_end() -> Iterator[None]:
    """Take SIGTERM as notice in this process, for `noticed`; in a rank, let the launcher tell what ended it.

    A rank also dies with torchrun, so that none is left at work on files that a new start then works on, and only the
    first one logs what goes well.
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
    """Copy the ranks' log to this process's until they end; the signal that killed one of them, or 0."""
    killed = 0
    for line in run.stderr or ():
        sys.stderr.write(line)
        sys.stderr.flush()
        if found := KILLED.match(line):
            killed = int(found[1])
    return killed


def _cause(folder: Path) -> str:
    """What the rank that failed first told; that the others lost it is what they tell."""
    causes = sorted(folder.glob(CAUSE.format("*")), key=lambda file: file.stat().st_mtime_ns)
    return causes[0].read_text(encoding="utf-8") if causes else ""
