"""A run that is killed at random moments and started again gives the tables of an undisturbed one, byte for byte."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from project_copy import copy_project, snakemake_in

# The tables of the two stages alone, which are as in the whole study. The study of stages is killed in its own tests.
FEWER = "tables: {show: [2, 3, 4, 5, 10, 12, scoring, chance]}\n"
TINY = ("--configfile", "tests/workflow/tiny.yaml", "fewer.yaml")
KILLS = 6
STARTED = re.compile(r"^(?:local)?rule \w+:\n((?:    .*\n)+)", re.MULTILINE)


def finished_outputs(log: str) -> set[str]:
    """The outputs of the jobs that a run's log calls finished."""
    outputs = {}
    for block in STARTED.findall(log):
        fields = dict(re.findall(r"^    (\w+): (.*)$", block, re.MULTILINE))
        if "output" in fields:
            outputs[fields["jobid"]] = fields["output"].split(", ")
    return {
        path for jobid in re.findall(r"^Finished jobid: (\d+)", log, re.MULTILINE) for path in outputs.get(jobid, [])
    }


def start(folder: Path, log: Path, words: tuple[str, ...] = TINY) -> subprocess.Popen:
    """Start a study, by Snakemake's words for it."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words]
    with log.open("w") as handle:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=handle, stderr=handle, start_new_session=True)


def kill(run: subprocess.Popen, log: Path, jobs: int, seconds: float) -> None:
    """Kill a run, its jobs with it, so many seconds after it finished so many jobs; it must not have ended before."""
    deadline = time.monotonic() + 600
    while "Select jobs to execute" not in (text := log.read_text()) or text.count("\nFinished jobid:") < jobs:
        assert run.poll() is None and time.monotonic() < deadline, text[-3000:]
        time.sleep(0.05)
    time.sleep(seconds)
    assert run.poll() is None, log.read_text()[-3000:]
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def test_killed_at_six_random_moments_it_comes_to_the_same_tables_and_finishes_no_job_twice(finished, tmp_path):
    folder = copy_project(tmp_path / "project")
    (folder / "fewer.yaml").write_text(FEWER)
    # The world and its base model are there: pretraining resumes by a test of its own, and would take most of the moments.
    kept = ("facts.parquet", "communities.parquet", "facts.csv", "corpus.parquet", "exposure.parquet")
    shutil.copytree(finished / ".snakemake/metadata", folder / ".snakemake/metadata")
    for name in kept:
        (folder / "results/tiny/seed0").mkdir(parents=True, exist_ok=True)
        shutil.copy2(finished / "results/tiny/seed0" / name, folder / "results/tiny/seed0" / name)
    shutil.copytree(finished / "results/tiny/seed0/small/base", folder / "results/tiny/seed0/small/base")
    # A moment is so many finished jobs and then some time: of the clock alone, a slow machine would get nowhere.
    chance = random.Random(0)
    moments = [(chance.randint(0, 3), chance.uniform(0, 2)) for _ in range(KILLS)]
    done: list[set[str]] = []
    for i, (jobs, seconds) in enumerate(moments):
        log = tmp_path / f"killed-{i}.log"
        kill(start(folder, log), log, jobs, seconds)
        done.append(finished_outputs(log.read_text()))
    again = snakemake_in(folder)("--cores", "2", *TINY)
    assert again.returncode == 0, again.stdout[-3000:]
    done.append(finished_outputs(again.stdout))
    assert sum(map(len, done[:-1])) >= sum(jobs for jobs, _ in moments)  # a job has an output or more
    for i, outputs in enumerate(done):
        for later in done[i + 1 :]:
            assert not outputs & later
    tables = sorted((folder / "results/tiny/tables").iterdir())
    assert len(tables) == 16 and (folder / "results/tiny/tables.md").exists()
    for table in tables:
        assert (finished / table.relative_to(folder)).read_bytes() == table.read_bytes(), table.name
    assert not list((folder / "results").rglob("checkpoints-*"))
    leftovers = [f for f in (folder / "results").rglob(".*") if f.is_file() and f.name != ".lock"]
    assert len(leftovers) <= KILLS * 2  # SIGKILL lets nobody clean up: at most a temporary file per killed job
