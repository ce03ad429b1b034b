"""Runs of the tiny study's two stages, on this machine and on a cluster, and what SLURM says of their jobs."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cluster import GPUS, Cluster, Job

CONFIGS = ("tests/workflow/tiny.yaml", str(Path(__file__).with_name("two_stages.yaml")))
RESULTS = "results/tiny"
MODEL = f"{RESULTS}/seed0/small"
# Results are the same bytes for the same number of threads; a cluster's profile gives more.
THREADS = ("--set-threads", "probe_facts=1", "check_probe=1", "evaluate_epochs=1", "train_adapter=1")
STUDY = ("--configfile", *CONFIGS, *THREADS)
# A workstation with as many GPUs for a training as the cluster gives it, since ranks differ in the last bits.
LOCAL = ("--cores", "2", "--resources", f"gpu={GPUS}", "--set-resources", f"train_adapter:gpu={GPUS}", *STUDY)
WORKSTATION = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(GPUS)))}
# The profile as it is, but SLURM, which is on this machine, is asked more often than a real one should be.
PROFILE = (
    *("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2"),
)
ON_CLUSTER = (*PROFILE, *STUDY)
RUN_SECONDS = 1800  # generous: on an idle machine of two cores it takes a few minutes
POLL_SECONDS = 0.5


def start(folder: Path, log: Path, *words: str, cluster: Cluster | None = None) -> subprocess.Popen[bytes]:
    """Start Snakemake in a copy of the project; its output goes to the log. Its process group is its own."""
    there = cluster.environment if cluster else WORKSTATION | {"PATH": os.environ["PATH"]}
    path = f"{Path(sys.executable).parent}{os.pathsep}{there['PATH']}"
    if cluster:  # its srun must stay the first
        path = f"{cluster.folder}/bin{os.pathsep}{path}"
    with log.open("w") as handle:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *words],
            cwd=folder,
            env={**os.environ, **there, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what a shell starts with & ignores it
        )


def finish(run: subprocess.Popen[bytes], log: Path, seconds: float = RUN_SECONDS) -> str:
    """Wait for a run that must succeed; its output."""
    try:
        status = run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        raise AssertionError(f"not done after {seconds:.0f} s:\n{log.read_text()[-6000:]}") from None
    assert status == 0, log.read_text()[-6000:]
    return log.read_text()


@contextmanager
def watched(cluster: Cluster) -> Iterator[dict[int, Job]]:
    """The cluster's jobs by number while the context lasts, complete at its end; none that were there before.

    SLURM tells which GPUs a job was given only while it runs, so it is asked all the time.
    """
    before = {job.number for job in cluster.jobs()}
    found: dict[int, Job] = {}
    ended = threading.Event()

    def look() -> None:
        for job in cluster.jobs():
            if job.number not in before:
                known = found.get(job.number)
                found[job.number] = job if job.gpus or not known else replace(job, gpus=known.gpus)

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        look()


def tables(folder: Path) -> dict[str, bytes]:
    """The study's tables by name."""
    files = [*(folder / RESULTS / "tables").iterdir(), folder / RESULTS / "tables.md"]
    return {file.name: file.read_bytes() for file in files}
