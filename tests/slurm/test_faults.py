"""Faults on a cluster, each really caused: the study completes, to the same tables, and computes nothing finished twice.

What is left to do is the last probe's two shards and what follows from them, or the last training, too. The interpreter
of the rule that a fault is for is a wrapper, which notes each start of a job and, the first time, does what is wrong.
"""

import os
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import runs
from cluster import Cluster, Job, wait_for
from project_copy import copy_project

PROBE = f"{runs.MODEL}/strategy5/train-probe-0"
SHARDS = [f"{PROBE}/generations-{shard}.parquet" for shard in (0, 1)]
PROBED = [
    *SHARDS,
    *(
        f"{PROBE}/{file}"
        for file in ("usage-0.json", "usage-1.json", "grades.parquet", "categories.parquet", "counts.csv")
    ),
    *(f"{runs.RESULTS}/tables/{table}.{kind}" for table in ("table_10", "table_12") for kind in ("csv", "md")),
    f"{runs.RESULTS}/tables.md",
]
TRAINED = [f"{runs.MODEL}/strategy5/{file}" for file in ("epochs/epochs.json", "loss.csv")]

WRAPPER = """\
#!/bin/bash
echo "$SLURM_JOB_ID ${{@: -3:1}} $HF_HUB_OFFLINE" >> starts
if [[ "$*" == *"{where}"* ]] && mkdir once 2> /dev/null; then
    {fault}
fi
exec python "$@"
"""
AT_FAULT = "attempt == 1 and wildcards.shard == '0'"  # of resources: the job at fault, the first time
STALL = "echo stalled > stalled; exec sleep 600"


@dataclass(frozen=True)
class Study:
    """A copy of the project in which the study has run but for some outputs, and the cluster to run the rest on."""

    folder: Path
    cluster: Cluster
    kept: dict[str, tuple[int, int]]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, log: str = "log", *words: str) -> subprocess.Popen[bytes]:
        run = runs.start(self.folder, self.folder / log, *runs.ON_CLUSTER, *words, cluster=self.cluster)
        self.started.append(run)
        return run

    def finish(self, run: subprocess.Popen[bytes], log: str = "log") -> str:
        return runs.finish(run, self.folder / log)

    def run(self, log: str = "log") -> str:
        return self.finish(self.start(log), log)

    def stalled(self) -> None:
        """Wait until the job at fault is at work."""
        wait_for((self.folder / "stalled").exists, "the job at fault to work", 120)

    def starts(self) -> Counter[str]:
        """How often a job was started, by its output."""
        return Counter(line.split()[1] for line in (self.folder / "starts").read_text().splitlines())

    def changed(self) -> list[str]:
        """The results that were finished before and have been written again."""
        now = stamps(self.folder)
        return [file for file, stamp in self.kept.items() if now.get(file) != stamp]


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of what the GPU jobs of a study have finished."""
    named = ("*.safetensors", "generations*.parquet", "usage*.json", "loss.csv", "epochs.json")
    files = [file for name in named for file in (folder / runs.RESULTS).rglob(name)]
    return {str(f.relative_to(folder)): (f.stat().st_size, f.stat().st_mtime_ns) for f in files}


@pytest.fixture
def left(cluster, local, tmp_path):
    """Makes a study with outputs left to make, in which the jobs at fault do something else the first time."""
    made: list[Study] = []

    def make(fault: str, where: str = "--shard 0 ", missing: list[str] = PROBED, **settings: dict[str, Any]) -> Study:
        folder = copy_project(tmp_path / "project")
        for part in ("results", ".snakemake/metadata"):
            shutil.copytree(local / part, folder / part)
        for target in missing:
            (folder / target).unlink()
        (folder / "faulty").write_text(WRAPPER.format(where=where, fault=fault))
        (folder / "faulty").chmod(0o755)
        profile = folder / "profiles/slurm/profile.yaml"
        there = yaml.safe_load(profile.read_text())
        for rule in ("probe_facts", "train_adapter"):
            there["set-resources"][rule] |= {"python": "'./faulty'", **settings.get(rule, {})}
        profile.write_text(yaml.safe_dump(there))
        made.append(Study(folder, cluster, stamps(folder)))
        return made[-1]

    yield make
    for run in [run for study in made for run in study.started if run.poll() is None]:  # of a test that failed
        run.kill()
        run.wait()
    cluster.call("scancel", "--user=root")
    wait_for(lambda: not cluster.call("squeue", "--noheader"), "the queue to empty", 120)


def shards_started(times: int, other: int = 1) -> dict[str, int]:
    """The starts of the shard at fault and of the other one."""
    return {SHARDS[0]: times, SHARDS[1]: other}


def same(study: Study, local: Path) -> None:
    """The study's tables are those of the run that nothing disturbed, and what was finished before is untouched."""
    assert runs.tables(study.folder) == runs.tables(local)
    assert study.changed() == []


def states(jobs: dict[int, Job], wildcards: str = "") -> list[str]:
    return [job.state for _, job in sorted(jobs.items()) if wildcards in job.wildcards]


SHARD = "strategy5_train_0_0"  # of the comment that a job at fault has in SLURM


def test_a_job_that_fails_once_is_tried_again_with_more_memory_and_time(left, local, cluster):
    study = left("exit 3")
    with runs.watched(cluster) as jobs:
        said = study.run()
    assert "Trying to restart job" in said
    assert states(jobs, SHARD) == ["FAILED", "COMPLETED"]
    first, second = (job for job in jobs.values() if SHARD in job.wildcards)
    assert (first.memory_mb, first.minutes) == (64_000, 480)
    assert (second.memory_mb, second.minutes) == (128_000, 960)
    assert study.starts() == shards_started(2)
    assert {line.split()[2] for line in (study.folder / "starts").read_text().splitlines()} == {"1"}  # no hub for jobs
    same(study, local)


def test_a_job_that_is_cancelled_is_tried_again(left, local, cluster):
    study = left(STALL)
    with runs.watched(cluster) as jobs:
        run = study.start()
        study.stalled()
        [number] = [number for number, job in jobs.items() if SHARD in job.wildcards]
        cluster.call("scancel", str(number))
        study.finish(run)
    assert states(jobs, SHARD) == ["CANCELLED", "COMPLETED"]
    assert study.starts() == shards_started(2)
    same(study, local)


def test_a_job_at_its_time_limit_is_tried_again(left, local, cluster):
    study = left(STALL, probe_facts={"runtime": f"1 if {AT_FAULT} else 60"})
    with runs.watched(cluster) as jobs:
        study.run()
    assert states(jobs, SHARD) == ["TIMEOUT", "COMPLETED"]
    assert study.starts() == shards_started(2)
    same(study, local)


def test_a_job_out_of_memory_is_tried_again_with_more(left, local, cluster):
    if not cluster.limits_memory:
        pytest.skip("SLURM cannot limit memory here: no memory cgroup (v1) that can be written to")
    greedy = "python -c 'held = bytearray(3_000_000_000)'; exit $?"
    study = left(greedy, probe_facts={"mem_mb": f"1500 if {AT_FAULT} else 64000"})
    with runs.watched(cluster) as jobs:
        said = study.run()
    assert states(jobs, SHARD)[0] in ("OUT_OF_MEMORY", "FAILED"), said[-3000:]
    assert states(jobs, SHARD)[1:] == ["COMPLETED"]
    assert study.starts() == shards_started(2)
    same(study, local)


def test_a_training_is_warned_before_its_time_is_up_and_has_time_to_write_what_it_has(left, local, cluster):
    # What the wrapper does on SIGTERM takes seconds, as a checkpoint does: its shell must not go before it.
    saves = "trap 'sleep 5; echo saved > saved; exit 1' TERM; sleep 600 & wait"
    # SLURM warns a job at once that has less time than the warning, and up to a minute early.
    limit = {"runtime": "3 if attempt == 1 else 60", "slurm_extra": "'--signal=TERM@60'"}
    study = left(saves, where="train_adapter", missing=TRAINED, train_adapter=limit)
    with runs.watched(cluster) as jobs:
        study.finish(study.start("log", "--", *TRAINED))
    assert (study.folder / "saved").exists()
    first, second = (job for _, job in sorted(jobs.items()))
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    assert (first.ended - first.started).seconds < 180  # before its limit
    for file in (TRAINED[1], *study.changed()):  # epochs.json has digests of configs, which tell the base model's path
        assert (study.folder / file).read_bytes() == (local / file).read_bytes()
    assert {Path(file).parents[1].name for file in study.changed()} == {"epochs"}


def test_while_the_node_is_drained_jobs_wait_and_after_it_they_run(left, local, cluster):
    study = left("true")
    cluster.drain()
    try:
        with runs.watched(cluster) as jobs:
            run = study.start()
            wait_for(lambda: len(jobs) == 2, "two jobs in the queue", 120)
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(15)
            assert states(jobs) == ["PENDING", "PENDING"]
            cluster.resume()
            study.finish(run)
    finally:
        cluster.resume()
    assert states(jobs) == ["COMPLETED", "COMPLETED"]
    assert study.starts() == shards_started(1)
    same(study, local)


def test_the_jobs_of_a_node_that_is_lost_are_started_again_by_slurm(left, local, cluster):
    study = left(STALL)
    with runs.watched(cluster) as jobs:
        run = study.start()
        study.stalled()
        wait_for(lambda: "COMPLETED" in states(jobs), "the other shard", 180)
        cluster.lose_node()
        wait_for(lambda: "PENDING" in states(jobs, SHARD), "SLURM to queue the job again", 180)
        cluster.find_node()
        said = study.finish(run)
    assert "Trying to restart job" not in said
    assert states(jobs) == ["COMPLETED", "COMPLETED"]
    assert [job.restarts for job in jobs.values() if SHARD in job.wildcards] == [1]
    assert study.starts() == shards_started(2)
    same(study, local)


def test_snakemake_that_is_interrupted_cancels_its_jobs_and_continues_when_called_again(left, local, cluster):
    study = left(STALL)
    with runs.watched(cluster) as jobs:
        run = study.start()
        study.stalled()
        wait_for(lambda: "COMPLETED" in states(jobs), "the other shard", 180)
        wait_for(lambda: "Finished jobid" in (study.folder / "log").read_text(), "Snakemake to see it", 120)
        os.kill(run.pid, signal.SIGINT)
        assert run.wait(120) == 1
        wait_for(lambda: not cluster.call("squeue", "--noheader"), "the queue to empty", 120)
        study.run("again")
    assert states(jobs, SHARD) == ["CANCELLED", "COMPLETED"]
    assert study.starts() == shards_started(2)
    same(study, local)


def test_snakemake_that_is_killed_leaves_jobs_and_starts_again_only_after_them(left, local, cluster):
    study = left("echo stalled > stalled; sleep 60")  # and then it does its work
    with runs.watched(cluster) as jobs:
        run = study.start()
        study.stalled()
        run.kill()
        run.wait()
        refused = study.start("refused")
        assert refused.wait(120) == 1
        assert (
            f"jobs of a Snakemake that was killed are still at work on {runs.RESULTS}"
            in (study.folder / "refused").read_text()
        )
        wait_for(lambda: not cluster.call("squeue", "--noheader"), "its jobs to end", 240)
        study.run("again")
    assert states(jobs) == ["COMPLETED", "COMPLETED"]
    assert study.starts() == shards_started(1)
    same(study, local)


def test_jobs_that_a_killed_snakemake_left_in_the_queue_are_found_there(left, local, cluster):
    study = left("true")
    cluster.drain()  # jobs that wait hold no lock
    try:
        with runs.watched(cluster) as jobs:
            run = study.start()
            wait_for(lambda: len(jobs) == 2, "two jobs in the queue", 120)
            run.kill()
            run.wait()
            refused = study.start("refused")
            assert refused.wait(120) == 1
            said = (study.folder / "refused").read_text()
            assert "jobs of a Snakemake that was killed are still in SLURM's queue for results/tiny" in said
            for number in jobs:
                assert str(number) in said
            remedy = said.partition("end them with ")[2].splitlines()[0]
            cluster.call(*remedy.split())
            wait_for(lambda: not cluster.call("squeue", "--noheader"), "the queue to empty", 60)
            cluster.resume()
            study.run("again")
    finally:
        cluster.resume()
    assert sorted(states(jobs)) == ["CANCELLED", "CANCELLED", "COMPLETED", "COMPLETED"]
    assert study.starts() == shards_started(1)
    same(study, local)
