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
from typing import NamedTuple

from gradual.ground.errors import EndedWithNotice, InputError, out_of_memory
from gradual.workflow.gpus import taken


class ErrorKind(NamedTuple):
    """A kind of errors that a user can solve.

    An error is of the kind if it has the name of one of the `classes`, as its class or a base class, or one of the numbers
    (`errno`), or one of the `words` in its text. Names do, so that no library is imported.
    """

    remedy: str
    classes: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    words: tuple[str, ...] = ()

    def has(self, error: BaseException) -> bool:
        """Whether an error is of this kind."""
        names = {cls.__name__ for cls in type(error).__mro__}
        text = str(error).lower()
        number = getattr(error, "errno", None)
        return bool(names & {*self.classes}) or number in self.numbers or any(words in text for words in self.words)


# The first kind that fits counts. Errors of safetensors, torch and transformers often have only words.
ERROR_KINDS = (
    ErrorKind(
        "free disk space and run again; no file was left half-written",
        numbers=(errno.ENOSPC, errno.EDQUOT),
        words=("no space left", "quota exceeded", "inline_container"),
    ),
    ErrorKind(
        "accept the model's licence on its page, set HF_TOKEN to a token that may read it, and check its repo and revision",
        classes=("GatedRepoError", "RepositoryNotFoundError", "RevisionNotFoundError"),
        words=("gated repo", "401 client error", "403 client error"),
    ),
    ErrorKind(
        "fetch the model where the hub can be reached, and set HF_HOME to the same cache here; then run again",
        classes=("LocalEntryNotFoundError", "OfflineModeIsEnabled"),
        words=("offline mode",),
    ),
    ErrorKind("run it again; the program that read its output ended first", classes=("BrokenPipeError",)),
    ErrorKind(
        "check the network, the proxy and the address; then run again",
        classes=(
            "ConnectionError",
            "URLError",
            "HTTPError",
            "HTTPException",
            "TransportError",
            "Timeout",
            "TimeoutError",
        )
        + ("gaierror", "SSLError", "MaxRetryError"),
        numbers=(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN),
        words=("couldn't connect to", "name resolution"),
    ),
    ErrorKind(
        "run the study in a folder on a disk that can be written; this one is read-only",
        numbers=(errno.EROFS,),
        words=("read-only file system",),
    ),
    ErrorKind(
        "shorten the path of the project or of the file", numbers=(errno.ENAMETOOLONG,), words=("file name too long",)
    ),
    ErrorKind(
        "raise the limits of open files and processes (ulimit -n, ulimit -u), or run fewer jobs at once (--cores)",
        numbers=(errno.EMFILE, errno.ENFILE, errno.EAGAIN),
        words=("can't start new thread", "too many open files"),
    ),
    ErrorKind(
        "check the disk or the network file system, because it does not answer as it should; then run again",
        numbers=(errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ELOOP),
        words=("input/output error",),
    ),
    ErrorKind(
        "make the file readable, and its folder writable, for the user that runs the study",
        classes=("PermissionError",),
        words=("permission denied",),
    ),
    ErrorKind(
        "set up the job's environment again (make setup; envs/), or start Snakemake with the environment active",
        classes=("ImportError",),
        words=("cannot open shared object file", "undefined symbol"),
    ),
    ErrorKind(
        "move what is in the way, because there is a file in the place of a folder, or a folder in that of a file",
        classes=("NotADirectoryError", "IsADirectoryError", "FileExistsError"),
    ),
    ErrorKind(
        "restore the file, or remove the results that were made from it; then run again", classes=("FileNotFoundError",)
    ),
    ErrorKind(
        "replace the file, because it is damaged or of another format; if it is a result, remove it and run again",
        classes=("JSONDecodeError", "UnicodeDecodeError", "YAMLError", "ArrowInvalid", "ParserError", "EmptyDataError")
        + ("BadZipFile", "BadGzipFile", "LZMAError", "EOFError", "UnpicklingError", "SafetensorError", "ParquetError"),
    ),
    ErrorKind(
        "check the GPU and its driver (nvidia-smi), and that torch was built for them; then run again",
        classes=("AcceleratorError", "DistBackendError"),
        words=("cuda error", "cuda driver", "nvidia driver", "nccl", "cublas", "cudnn"),
    ),
)


def remedy(error: BaseException) -> str:
    """What a user can do about an unforeseen error, or about its cause. Finished results are kept after every error."""
    if out_of_memory(error):
        return "free memory, run fewer jobs at once (--cores), or lower training.micro_batch; then run again"
    found = next((kind.remedy for kind in ERROR_KINDS if kind.has(error)), None)
    if found is None and error.__cause__ is not None:
        return remedy(error.__cause__)
    return found or "not foreseen, so likely a defect; report it with the lines above"


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
