"""The timers of Snakemake's own process."""

import threading


def end_timers() -> None:
    """End all timers of this process.

    Snakemake starts one at each look at the waiting jobs, for as long as the span of its job rate (max-jobs-per-timespan).
    Each would keep the process alive until it has run out, up to a minute after the last job.
    """
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
