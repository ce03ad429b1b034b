"""Downloads that resume, try again, and are kept only if their digest is right."""

import errno
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests

from gradual.ground.errors import InputError
from gradual.ground.files import digest

TIMEOUT = (10, 60)  # seconds to connect, and between two blocks
BLOCK = 1 << 16  # bytes; a broken connection loses at most one block
FIRST_PAUSE = 1.0  # seconds before the second attempt; each later pause is twice the last one
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses after which another attempt may succeed
RANGE_NOT_SATISFIABLE = 416


def download(url: str, sha256: str | None, target: Path, attempts: int = 5) -> None:
    """Download to `<target>.part`, resume one that is there, and rename it to the target when its digest is right.

    After the last failed attempt the part is kept, and the next call resumes it. The part is removed if its digest is
    wrong or the disk is full. Raises InputError in all three cases, and for a URL or digest that cannot be used.
    """
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname or address.username:
        expected = "http:// or https://, without credentials"
        raise InputError(address.hostname or url, "cannot be downloaded from", expected, key="dataset.url")
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise InputError(url, f"the digest {sha256!r}", "64 hex digits", key="dataset.sha256")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    for attempt in range(attempts):
        if attempt:
            time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        try:
            _fetch(url, part)
            break
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            if status == RANGE_NOT_SATISFIABLE:  # the part is whole or of another file; the digest shows which
                break
            if status is not None and status not in PASSING:
                raise InputError(url, f"the server answered {status}", "a file", key="dataset.url") from error
            failure = error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                part.unlink(missing_ok=True)
                raise InputError(target, "the disk is full", "free space; nothing was written") from error
            raise
    else:
        problem = f"not downloaded in {attempts} attempts ({failure})"
        raise InputError(url, problem, "a connection; the next call resumes the download") from failure
    found = digest(part)
    if sha256 is not None and found != sha256.lower():
        part.unlink()
        raise InputError(
            url, f"its sha256 is {found}", f"{sha256.lower()}; the download was removed", key="dataset.sha256"
        )
    part.replace(target)


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
