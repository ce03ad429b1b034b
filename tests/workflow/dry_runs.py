"""Snakemake's dry runs, each forked from this process, which has imported Snakemake: that takes longer than a dry run.

Nothing of the project is imported here. So each run takes the project's modules from its own folder, as they are then.
"""

import json
import os
import sys

import smart_open  # noqa: F401  imported by Snakemake when it runs, as are the reports
import snakemake.cli
import snakemake.report.html_reporter


def dry_run(folder: str, words: list[str], environment: dict[str, str], output: str) -> None:
    """What `python -m snakemake` does with these words; it ends the process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.path[0] = folder
    sys.argv[1:] = words
    snakemake.cli.main()


if __name__ == "__main__":
    for request in sys.stdin:  # a line of JSON each; its answer is the exit status
        if not (child := os.fork()):
            dry_run(**json.loads(request))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
