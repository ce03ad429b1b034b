"""Raw files as they come: below a folder, or inside a .zip archive whose members are read in place, never unpacked."""

import codecs
import lzma
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from gradual.errors import InputError

MAX_BYTES = 2**30  # that an archive may unpack to; EntityQuestions has 3e7
MAX_DEPTH = 4  # of files below a folder: <repository>/dataset/<split>/<file>
MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True)
class Source:
    """The files of a folder or an archive, by their relative names with forward slashes."""

    path: Path
    names: list[str]
    read_bytes: Callable[[str], bytes]

    def label(self, name: str) -> str:
        """How an error names the file."""
        return f"{self.path}/{name}"

    def find(self, filename: str) -> str | None:
        """The one file of that name, in whatever folder; None where there is none, InputError where there are several."""
        found = [name for name in self.names if PurePosixPath(name).name == filename]
        if len(found) > 1:
            raise InputError(self.path, f"holds {' and '.join(sorted(found))}", f"one {filename}")
        return found[0] if found else None

    def require(self, filename: str) -> str:
        """The one file of that name; InputError where there is none."""
        name = self.find(filename)
        if name is None:
            raise InputError(self.path, f"there is no {filename} in it", f"a folder or a .zip that holds {filename}")
        return name

    def text(self, name: str) -> str:
        """A file's text; InputError with the offset of the first byte that is not UTF-8."""
        raw = self.read_bytes(name)
        if raw.startswith(MARKS):
            raise InputError(self.label(name), "starts with a byte order mark at byte 0", "UTF-8 without one")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            problem = f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8"
            raise InputError(self.label(name), problem, "UTF-8 text") from error


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """The raw files of a folder or an archive; InputError where it is neither, or the archive is broken or unsafe."""
    if path.is_dir():
        found = (file for depth in range(1, MAX_DEPTH + 1) for file in path.glob("/".join("*" * depth)))
        names = sorted(file.relative_to(path).as_posix() for file in found if file.is_file())
        yield Source(path, names, lambda name: (path / name).read_bytes())
        return
    if not path.exists():
        raise InputError(path, "does not exist", "a folder or a .zip archive")
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise InputError(path, f"is neither a folder nor a .zip archive ({error})", "one of the two") from error
    with archive:
        members = _check(archive, path)
        yield Source(path, sorted(members), lambda name: _read(archive, members[name], path))


def _check(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by name, once every member is known to be safe."""
    members = archive.infolist()
    for member in members:
        # A name without NUL and backslash means the same to every tool that might unpack the archive.
        name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or parts[:1] == ("/",) or PureWindowsPath(name).drive or "\0" in name or "\\" in name:
            raise InputError(path, f"member {name!r} points outside the archive", "relative names without ..")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(path, f"member {name!r} is a link or a device", "files and folders only")
        if member.flag_bits & 1:
            raise InputError(path, f"member {name!r} is encrypted", "an archive without a password")
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES:
        raise InputError(path, f"unpacks to {size:,} bytes", f"at most {MAX_BYTES:,}")
    files = {member.filename: member for member in members if not member.is_dir()}
    if len(files) < sum(not member.is_dir() for member in members):
        raise InputError(path, "holds two members of one name", "distinct names")
    return files


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> bytes:
    try:
        with archive.open(member) as file:
            # Asking for the declared size bounds the memory of a member that unpacks to more than it declares.
            return file.read(member.file_size)
    except BROKEN as error:
        raise InputError(f"{path}/{member.filename}", f"cannot be unpacked ({error})", "an intact archive") from error
