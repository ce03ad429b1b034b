"""The start of a script: its log, the report of its errors, and the GPUs that it holds.

No result depends on this. Fingerprints ignore the block that starts a script, and the imports that only this block uses.
"""

import argparse
import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable

from gradual.ground.errors import EndedWithNotice, InputError, out_of_memory
from gradual.workflow.gpus import taken


def remedy(error: Exception) -> str:
    """What a user can do about an unforeseen error. Finished results are kept after every error."""
    if out_of_memory(error):
        return "free memory, run fewer jobs at once (--cores), or lower training.micro_batch; then run again"
    full = ("no space left", "quota exceeded", "inline_container")  # errors of safetensors and torch have no errno
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(w in str(error).lower() for w in full):
        return "free disk space and run again; no file was left half-written"
    if isinstance(error, PermissionError):
        return "make the file readable, and its folder writable, for the user that runs the study"
    if isinstance(error, FileNotFoundError):
        return "restore the file, or remove the results that were made from it; then run again"
    if isinstance(error, ImportError):
        return "set up the job's environment again (make setup; envs/), or start Snakemake with the environment active"
    return "not foreseen, so likely a defect; report it with the lines above"


def explanation(error: Exception) -> str:
    """The last lines of a log after an error: its cause and, for an unforeseen error, the likely remedy.

    Also prints the traceback of an unforeseen error.
    """
    if isinstance(error, InputError | EndedWithNotice):
        return f"error: {error}"
    traceback.print_exception(error)
    cause = " ".join(str(error).split())
    return f"error: {type(error).__name__}: {cause}\nremedy: {remedy(error)}"


def report(main: Callable[[], None]) -> None:
    """Run a script's main with its log on standard error. After an error, exit with its explanation and status 1.

    Libraries show progress bars only on a terminal, because bars would fill a log file.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("gradual").setLevel(logging.INFO)
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        main()
    except Exception as error:
        sys.exit(explanation(error))


def on_gpus(main: Callable[[], None]) -> None:
    """Run a script's main as `report` does, while it holds as many GPUs as its option --gpus says."""
    report(lambda: _with_gpus(main))


def gpus_asked() -> int:
    """How many GPUs the option --gpus of this process asks for."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--gpus", type=int, default=0)
    return parser.parse_known_args()[0].gpus


def _with_gpus(main: Callable[[], None]) -> None:
    with taken(gpus_asked()):
        main()
