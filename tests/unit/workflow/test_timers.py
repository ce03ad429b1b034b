"""Snakemake's process ends with its last job, whatever timers it has started."""

import re
import threading
from pathlib import Path

from gradual.workflow.timers import end_timers

ROOT = Path(__file__).resolve().parents[3]


def test_timers_are_ended_and_other_threads_are_not():
    done, release = [], threading.Event()
    timer, other = threading.Timer(600, done.append, [1]), threading.Thread(target=release.wait)
    timer.start()
    other.start()
    end_timers()
    timer.join(60)
    assert not timer.is_alive() and other.is_alive() and not done
    release.set()


def test_a_run_ends_its_timers_however_it_ends():
    text = (ROOT / "Snakefile").read_text(encoding="utf-8")
    for handler in ("onsuccess", "onerror"):
        assert re.search(rf"^{handler}:\n    timers\.end_timers\(\)\n", text, re.MULTILINE), handler
