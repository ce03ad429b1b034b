"""Downloads that resume, try again, and are kept only if their content is right. Studies share them."""

import errno
import logging
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from gradual.data.dataset import check_manifest, download_path, raw_source
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.ground.waiting import alone

log = logging.getLogger("gradual")
Check = Callable[[Path], None]  # raises InputError for a file whose content is not right
TIMEOUT = (10, 60)  # seconds to connect, and between two blocks
BLOCK = 1 << 16  # bytes; a broken connection loses at most one block
FIRST_PAUSE = 1.0  # seconds before the second attempt; each later pause is twice the last one
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses after which another attempt may succeed
RANGE_NOT_SATISFIABLE = 416


def fetch(dataset: Mapping[str, Any]) -> None:
    """Download the raw files of a dataset (the config's section), if they are not local. Raises InputError as below."""
    target = download_path(dataset)
    if target is not None and target == raw_source(dataset):
        check = partial(check_manifest, dataset) if dataset["manifest"] else None
        download(dataset["url"], target, dataset["sha256"], check)


def download(url: str, target: Path, sha256: str | None, check: Check | None = None, attempts: int = 5) -> None:
    """Download to the target, unless a file with the right content is there. Each process waits for the others.

    The content is right if it has the digest `sha256`, and if `check` (such as a comparison with a manifest) raises no
    InputError; one of the two must be given. The download goes to `part/` beside the target, resumes what is there, and is
    moved when it is right. After the last failed attempt the part is kept, and the next call resumes it. The part is
    removed if it is wrong or the disk is full. Raises InputError in all three cases, and for a URL or digest that cannot be
    used.
    """
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname or address.username:
        expected = "http:// or https://, without credentials"
        raise InputError(address.hostname or url, "cannot be downloaded from", expected, key="dataset.url")
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise InputError(url, f"the digest {sha256!r}", "64 hex digits", key="dataset.sha256")
    if sha256 is None and check is None:
        raise InputError(url, "neither sha256 nor manifest", "the digest of what is downloaded", key="dataset.sha256")
    part = target.parent / "part" / target.name  # of the same name, because a check may look at it
    part.parent.mkdir(parents=True, exist_ok=True)
    with alone(target.parent / ".lock", f"downloads {url}"):
        if target.exists():
            try:
                return _check(url, target, sha256, check)
            except InputError as error:
                log.warning("downloaded again: %s", error)
        _attempt(url, part, target, attempts)
        try:
            _check(url, part, sha256, check)
        except InputError:
            part.unlink()
            raise
        part.replace(target)


def _check(url: str, file: Path, sha256: str | None, check: Check | None) -> None:
    """Raise InputError unless a file has the right content."""
    with file.open("rb") as content:
        page = content.read(200).lstrip().lower().startswith((b"<!doctype html", b"<html"))
    size = file.stat().st_size
    told = "it is empty" if not size else "it is a web page" if page else f"it has {size} bytes"
    if sha256 is not None and (found := digest(file)) != sha256.lower():
        expected = f"{sha256.lower()}; the download was removed"
        raise InputError(url, f"its sha256 is {found} ({told})", expected, key="dataset.sha256")
    if check is not None:
        try:
            check(file)
        except InputError as error:
            expected = "what dataset.manifest lists; the download was removed"
            raise InputError(url, f"{told} and is not right ({error})", expected, key="dataset.url") from error


def _attempt(url: str, part: Path, target: Path, attempts: int) -> None:
    """Fetch the part, in so many attempts with pauses between them."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        try:
            return _fetch(url, part)
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            if status == RANGE_NOT_SATISFIABLE:  # the part is whole or of another file; the digest shows which
                return
            if status is not None and status not in PASSING:
                raise InputError(url, f"the server answered {status}", "a file", key="dataset.url") from error
            failure = error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                part.unlink(missing_ok=True)
                raise InputError(target, "the disk is full", "free space; nothing was written") from error
            raise
    problem = f"not downloaded in {attempts} attempts ({failure})"
    raise InputError(url, problem, "a connection; the next call resumes the download") from failure


def _fetch(url: str, part: Path) -> None:
    """Append the missing bytes to the part, or write all of it again where the server does not resume."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with part.open("ab" if resumed else "wb") as file:
            for block in response.iter_content(BLOCK):
                file.write(block)
