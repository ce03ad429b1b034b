"""Read files with errors that name them. Write files whole or not at all: under a temporary name, then renamed."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError


def digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_parquet(path: Path | str, what: str, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """The frame of a Parquet file that must have the columns; `what` says in the error what the file should be.

    Raises InputError for a file that is missing, is cut short or lacks a column.
    """
    expected = f"{what}, as a whole Parquet file (remove a broken one: it is made again)"
    if not Path(path).is_file():
        raise InputError(path, "is missing or is not a file", expected)
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({error})", expected) from error
    for column in columns:
        if column not in frame.columns:
            raise InputError(path, f"has the columns {list(frame.columns)}", f"{what} with this column", key=column)
    return frame


def read_json(path: Path | str, what: str) -> Any:
    """The value of a JSON file; `what` says in the error what the file should be.

    Raises InputError for a file that is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({error})", f"{what}, in JSON") from error


@contextmanager
def write_atomically(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`. The file there is renamed to `path` on success and removed on failure.

    Raises InputError where the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(path, "the disk is full", "free space; nothing was written") from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_parquet(frame: pd.DataFrame, path: Path | str) -> None:
    """Write the frame as Parquet, without its index."""
    with write_atomically(path) as temporary:
        frame.to_parquet(temporary, index=False)


def write_csv(frame: pd.DataFrame, path: Path | str) -> None:
    """Write the frame as CSV, without its index."""
    with write_atomically(path) as temporary:
        frame.to_csv(temporary, index=False)


def write_json(value: Any, path: Path | str) -> None:
    """Write the value as indented JSON."""
    write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", path)


def write_text(text: str, path: Path | str) -> None:
    """Write the text in UTF-8."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
