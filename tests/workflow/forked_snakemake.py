"""Runs of Snakemake, each forked from this process, which has imported it: that takes longer than a dry run.

Nothing of the project is imported here. So each run takes the project's modules from its own folder, as they are then.
"""

import json
import os
import signal
import sys

import smart_open  # noqa: F401  imported by Snakemake when it runs, as are the reports
import snakemake.cli
import snakemake.report.html_reporter

SECONDS = 900  # after which a run is ended


def run(folder: str, words: list[str], environment: dict[str, str], output: str) -> None:
    """What `python -m snakemake` does with these words; it ends the process."""
    signal.alarm(SECONDS)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_APPEND), stream)
    sys.path[0] = folder
    sys.argv[1:] = words
    snakemake.cli.main()


if __name__ == "__main__":
    for request in sys.stdin:  # a line of JSON each; its answer is the exit status
        if not (child := os.fork()):
            run(**json.loads(request))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
