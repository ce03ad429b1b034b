"""GPUs of a machine without a scheduler: how many there are, and that jobs side by side never hold the same."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from gradual.ground.errors import InputError
from gradual.workflow.gpus import ALLOCATION, VISIBLE, here, taken

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
JOB = """
import os, resource, sys
from gradual.workflow import gpus
resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
gpus.SECONDS_BETWEEN_TRIES = 0.01
with gpus.taken(int(sys.argv[1])) as names:
    assert os.environ[gpus.VISIBLE] == ",".join(names)
    print(" ".join(names), flush=True)
    sys.stdin.read()
"""
SOON, A_WHILE = 20, 0.6  # seconds: the most until something happens; how long nothing happens that must not


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without GPUs and with no job on it; a function gives it as many as nvidia-smi then lists."""
    for name in (VISIBLE, ALLOCATION):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def with_gpus(count: int, answer: str = "", status: int = 0) -> None:
        lines = answer or "\n".join(map(str, range(count)))
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\necho '{lines}'\nexit {status}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return with_gpus


class Job:
    """A process that holds GPUs until it is ended."""

    def __init__(self, count: int, **environment: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), **environment}
        command = [sys.executable, "-c", JOB, str(count)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def held(self, seconds: float = SOON) -> set[str] | None:
        """The GPUs that it holds; None where it has none after so long."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        return set(self.process.stdout.readline().split())

    def end(self) -> int:
        self.process.stdin.close()
        return self.process.wait(timeout=SOON)


@pytest.fixture
def job(machine):
    """Starts jobs, and ends them all with the test."""
    started = []

    def start(count: int, **environment: str) -> Job:
        started.append(Job(count, **environment))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("0,1", ["0", "1"]),
        (" 2 , 5", ["2", "5"]),
        ("GPU-8f2a11c0,MIG-77/1/0", ["GPU-8f2a11c0", "MIG-77/1/0"]),
        ("0,-1,1", ["0"]),
        ("3,3", ["3"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_the_gpus_that_are_visible_are_those_that_cuda_would_see(machine, monkeypatch, visible, names):
    machine(8)
    monkeypatch.setenv(VISIBLE, visible)
    assert here() == names


def test_the_gpus_of_a_machine_are_those_that_its_driver_lists(machine):
    machine(3)
    assert here() == ["0", "1", "2"]


def test_without_a_driver_or_without_a_gpu_there_are_none(machine):
    assert here() == []
    machine(0, answer="No devices were found")
    assert here() == []
    machine(2, status=9)
    assert here() == []


def test_jobs_side_by_side_hold_different_gpus_and_another_waits_until_one_ends(machine, job):
    machine(2)
    first, second = job(1), job(1)
    assert first.held() | second.held() == {"0", "1"}
    third = job(1)
    assert third.held(A_WHILE) is None
    assert first.end() == 0
    assert third.held() <= {"0", "1"}
    assert third.end() == 0  # although it tried more often than it may open files


def test_the_gpus_of_a_killed_job_are_free(machine, job):
    machine(1)
    killed = job(1)
    assert killed.held() == {"0"}
    waiting = job(1)
    assert waiting.held(A_WHILE) is None
    killed.process.kill()
    assert waiting.held() == {"0"}


def test_a_job_that_wants_many_is_not_overtaken_by_ones_that_want_few(machine, job):
    machine(2)
    small = job(1)
    assert small.held()
    large = job(2)
    assert large.held(A_WHILE) is None
    late = job(1)
    assert late.held(A_WHILE) is None
    small.end()
    assert large.held() == {"0", "1"}
    assert late.held(A_WHILE) is None
    large.end()
    assert late.held()


def test_a_schedulers_allocation_waits_for_no_other_job(machine, job):
    machine(1)
    outside = job(1)
    assert outside.held() == {"0"}
    assert job(1, SLURM_JOB_ID="11").held() == {"0"}  # cgroups number each allocation's GPUs from 0
    assert job(2, SLURM_JOB_ID="12", CUDA_VISIBLE_DEVICES="0,1").held() == {"0", "1"}


def test_jobs_in_one_allocation_hold_different_gpus(machine, job):
    allocation = {ALLOCATION: "11", VISIBLE: "4,5"}
    assert job(1, **allocation).held() | job(1, **allocation).held() == {"4", "5"}


def test_more_gpus_than_there_are_is_an_error_that_says_how_many(machine):
    machine(2)
    with pytest.raises(InputError, match=r"asks for 4 GPUs; expected at most the 2 here .*gpu=2"), taken(4):
        pass


def test_a_job_of_no_gpu_sees_none_and_waits_for_none(machine, job):
    machine(1)
    assert job(1).held() == {"0"}
    with taken(0) as names:
        assert names == [] and os.environ[VISIBLE] == ""


@pytest.mark.parametrize("before", [None, "0,1"])
def test_afterwards_the_environment_is_as_before_whatever_happened(machine, monkeypatch, before):
    machine(2)
    if before:
        monkeypatch.setenv(VISIBLE, before)
    with pytest.raises(KeyError), taken(1):
        assert os.environ[VISIBLE] == "0"
        raise KeyError
    assert os.environ.get(VISIBLE) == before
    with taken(2) as names:  # and nothing is held
        assert names == ["0", "1"]
