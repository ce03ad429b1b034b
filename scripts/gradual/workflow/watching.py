"""What a study is doing now, from the logs that Snakemake and the jobs write.

Snakemake's log tells which jobs were started and which have ended. A job's own log tells how far it is. So this works for
jobs on this machine and on a cluster, whose files are seen here.
"""

import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

SNAKEMAKE_LOGS = Path(".snakemake") / "log"
DATE = re.compile(r"^\[(\w{3} \w{3} +\d+ [\d:]{8} \d{4})\]$")
STARTED = re.compile(r"^(?:local)?rule (\w+):$")
LOG = re.compile(r"^    log: (\S+?)(?:,? \(.*)?$")
JOB = re.compile(r"^    jobid: (\d+)$")
ENDED = re.compile(r"^(?:Finished jobid: (\d+)\b.*|Error in rule \w+(?:, jobid: (\d+))?:?.*)$")
STEPS = re.compile(r"^(\d+) of (\d+) steps \(.*\) done$")
OVER = ("Complete log", "Nothing to be done")
FACTS = re.compile(r"(\d+) of (\d+) facts(?:, ([\d.e+-]+) facts/s)?")
TRAINED = re.compile(r"step (\d+) of (\d+), .*?([\d.e+-]+) steps/s")
TAIL = 20_000  # bytes of a job's log that are read
SILENT = 300  # seconds after which a job's last word is old
DRY = "This was a dry-run"


class Job(NamedTuple):
    """A job that was started and has not ended: its rule, its log, and when it was started."""

    rule: str
    log: str
    since: datetime


class Run(NamedTuple):
    """A run of Snakemake: the jobs that are at work, how many jobs are done of how many, and whether the run is over."""

    jobs: list[Job]
    done: int
    of: int
    over: bool


def last_run(results: Path, root: Path) -> Run | None:
    """The last run of Snakemake on a study, or None. `results` is relative to `root`, as the paths in the log are."""
    for log in sorted((root / SNAKEMAKE_LOGS).glob("*.log"), reverse=True):
        text = log.read_text(encoding="utf-8", errors="replace")
        if f"log: {results}/" in text and DRY not in text:
            return read_run(text)
    return None


def read_run(text: str) -> Run:
    """What Snakemake's log tells of its run."""
    jobs: dict[str, Job] = {}
    date, rule, log, done, of, over = datetime.min, "", "", 0, 0, False
    for line in text.splitlines():
        if found := DATE.match(line):
            date, rule = datetime.strptime(found[1], "%a %b %d %H:%M:%S %Y"), ""
        elif found := STARTED.match(line):
            rule, log = found[1], ""
        elif found := ENDED.match(line):
            rule = "" if found[1] else "error"  # the lines that follow an error name its job
            jobs.pop(found[1] or found[2] or "", None)
        elif found := LOG.match(line):
            log = found[1]
        elif found := JOB.match(line):
            if rule == "error":
                jobs.pop(found[1], None)
            elif rule and log:
                jobs[found[1]] = Job(rule, log, date)
        elif found := STEPS.match(line):
            done, of = int(found[1]), int(found[2])
        over |= line.startswith(OVER)
    return Run([] if over else list(jobs.values()), done, of, over)


def progress(log: Path) -> tuple[str, str]:
    """How far a job is by the last line of its log that tells it, and the time that is left. Both may be empty."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return "waits", ""  # in the queue of a cluster
    for line in reversed(text.splitlines()):
        for kind, unit in ((FACTS, "facts"), (TRAINED, "steps")):
            if found := kind.search(line):
                done, of = int(found[1]), int(found[2])
                rate = float(found[3] or 0)
                told = f"{done:,} of {of:,} {unit} ({done / max(of, 1):.0%})"
                return told, duration((of - done) / rate) if rate else ""
    return "", ""


def picture(study: str, run: Run | None, root: Path, now: datetime) -> str:
    """A text that shows the run: how many jobs are done, and for each job at work how far it is and for how long."""
    if run is None:
        return f"{study}: no run of Snakemake is in its logs here"
    head = f"{study}: {run.done} of {run.of} jobs done" if run.of else f"{study}: no job is done yet"
    if run.over:
        return f"{head}; the run is over"
    if not run.jobs:
        return f"{head}; no job is at work"
    rows = [_row(job, root, now) for job in run.jobs]
    table = tabulate(rows, ("job", "for", "done", "left"), tablefmt="plain", disable_numparse=True)
    return f"{head}, {len(rows)} started\n\n{table}"


def _row(job: Job, root: Path, now: datetime) -> Sequence[str]:
    file = root / job.log
    told, left = progress(file)
    silent = time.time() - file.stat().st_mtime if file.exists() else 0.0
    if silent > SILENT:
        told, left = f"{told}, silent for {duration(silent)}".removeprefix(", "), ""
    return f"{job.rule} {file.stem}", duration((now - job.since).total_seconds()), told, left


def duration(seconds: float) -> str:
    """A number of seconds as a reader tells it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
