"""Ways of doing the same work are measured in turns: what else the machine does meanwhile hits all of them alike."""

import os
import subprocess
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any


def timed(work: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    """Seconds that the work takes, and its result."""
    begun = time.perf_counter()
    result = work(*given)
    return time.perf_counter() - begun, result


def timed_process(command: list[str]) -> tuple[float, float]:
    """Seconds of a process, and its peak memory in MiB; CalledProcessError where it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - begun, used.ru_maxrss / 1024


def in_turns(ways: Mapping[Hashable, Callable[[int], Any]], repetitions: int) -> Iterator[tuple[Any, int, float, Any]]:
    """Every way, given the repetition's number, once per repetition: its name, the number, seconds and its result."""
    for repetition in range(repetitions):
        for name, work in ways.items():
            yield name, repetition, *timed(work, repetition)


def fitting(work: Callable[[int], Any], most: int, seconds: float) -> int:
    """How much of `most` the work does in about so many seconds; it is tried in growing parts, and so warmed up."""
    size = 1
    while True:
        took, _ = timed(work, size)
        if took >= seconds / 4 or size == most:
            return max(1, min(most, round(size * seconds / took)))
        size = min(most, 4 * size)
