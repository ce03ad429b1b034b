"""Raw files of a dataset, from a folder or a zip archive that is not unpacked, and checks of their content."""

import difflib
import hashlib
import json
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gradual.ground.errors import InputError

MAX_ARCHIVE_BYTES = 1 << 30  # all members of an archive together, unpacked; EntityQuestions has 0.03 GiB
MAX_FOLDER_DEPTH = 4  # as in <archive's folder>/dataset/train/P17.train.json
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class RawFile:
    """One file: its name in errors, its path inside the source, and a function that reads it."""

    label: str
    path: PurePosixPath
    read: Callable[[], bytes]

    def text(self) -> str:
        """The content as text. Raises InputError unless it is UTF-8 without a byte-order mark."""
        try:
            content = self.read()
        except OSError as error:
            raise InputError(self.label, f"cannot be read ({error.strerror})", "a readable file") from error
        if content.startswith(BOM):
            raise InputError(self.label, "byte 0: a byte-order mark", "UTF-8 without one")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            problem = f"byte {error.start}: not UTF-8 ({error.reason})"
            raise InputError(self.label, problem, "UTF-8", row=line) from error


def find(source: Path, pattern: str, wanted: str) -> dict[str, RawFile]:
    """The files of a folder or zip archive whose names (without folders) match the pattern, by name, in order of path.

    `wanted` describes them in errors. Raises InputError where the source cannot be read, is unsafe, has none of these
    files, or has two with the same name.
    """
    if source.is_dir():
        files = _in_folder(source)
    elif source.is_file():
        files = _in_archive(source)
    else:
        raise InputError(source, "there is no such file or folder", f"a folder or a zip archive of {wanted}")
    found: dict[str, RawFile] = {}
    for file in sorted(files, key=lambda file: file.path):
        name = file.path.name
        if not re.fullmatch(pattern, name):
            continue
        if name in found:
            raise InputError(source, f"holds both {found[name].path} and {file.path}", f"one {name}")
        found[name] = file
    if not found:
        raise InputError(source, "holds none of the files", wanted)
    return found


def verify(source: Path, manifest: Path) -> int:
    """Check the raw files against a manifest in `sha256sum` format, and return how many files it names.

    Only the name of a file counts, not its folder. Raises InputError for the first file that is missing or has another
    digest.
    """
    files = {file.path.name: file for file in (_in_folder(source) if source.is_dir() else _in_archive(source))}
    lines = manifest.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not (parts := re.fullmatch(r"([0-9a-f]{64})  (\S.*)", line)):
            raise InputError(manifest, repr(line), "a sha256, two spaces and a file", row=number)
        file = files.get(PurePosixPath(parts[2]).name)
        if file is None:
            raise InputError(source, f"has no {parts[2]}", f"the files of {manifest}")
        if (found := hashlib.sha256(file.read()).hexdigest()) != parts[1]:
            raise InputError(file.label, f"its sha256 is {found}", f"{parts[1]}, as in {manifest}")
    return len(lines)


def _in_folder(folder: Path) -> list[RawFile]:
    paths = (path for depth in range(MAX_FOLDER_DEPTH) for path in folder.glob("*/" * depth + "*") if path.is_file())
    return [RawFile(str(path), PurePosixPath(path.relative_to(folder).as_posix()), path.read_bytes) for path in paths]


def _in_archive(archive: Path) -> list[RawFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(archive, f"cannot be read ({error})", "a folder or a whole zip archive") from error
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or re.search(r"^[A-Za-z]:|\\", member.filename):
            raise InputError(archive, f"the unsafe member {member.filename!r}", "paths that stay inside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(archive, f"the member {member.filename!r} is a symbolic link", "plain files")
    size = sum(member.file_size for member in members)
    if size > MAX_ARCHIVE_BYTES:
        raise InputError(archive, f"unpacks to {size} bytes", f"at most {MAX_ARCHIVE_BYTES}")

    def reader(member: zipfile.ZipInfo, label: str) -> Callable[[], bytes]:
        def read() -> bytes:
            try:
                with zipfile.ZipFile(archive) as opened, opened.open(member) as file:
                    # Asking for the declared size bounds the memory of a member that unpacks to more than it declares.
                    return file.read(member.file_size)
            except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
                raise InputError(label, f"cannot be read ({error})", "a whole member without a password") from error

        return read

    labels = [f"{archive}:{member.filename}" for member in members]
    return [
        RawFile(label, PurePosixPath(member.filename), reader(member, label))
        for member, label in zip(members, labels, strict=True)
    ]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return made


def parse_json(text: str, file: str, row: int | None = None) -> Any:
    """The JSON value of a text. Raises InputError, with the place, where it is malformed, and where a key is repeated."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if row else f"line {error.lineno}, column {error.colno}"
        raise InputError(file, f"{place}: malformed JSON ({error.msg})", "valid JSON", row=row) from error
    except ValueError as error:
        raise InputError(file, f"malformed JSON ({error})", "valid JSON", row=row) from error
    except RecursionError as error:
        raise InputError(file, "the JSON is nested too deeply", "flat JSON", row=row) from error


def check_object(value: Any, file: str, row: int, expected: str) -> dict[str, Any]:
    """The value. Raises InputError unless it is a JSON object."""
    if not isinstance(value, dict):
        raise InputError(file, f"{value!r}", expected, row=row)
    return value


def require(row: dict[str, Any], key: str, file: str, number: int, known: tuple[str, ...] = ()) -> Any:
    """The row's value of a key. Where it has none, raises InputError with a similar key that the row has instead."""
    if key in row:
        return row[key]
    near = [name for name in difflib.get_close_matches(key, row, 1) if name not in known]
    meant = f" ({near[0]!r} is not a key)" if near else ""
    raise InputError(file, f"is missing{meant}", "this key in every row", row=number, key=key)


def check_text(value: Any, file: str, row: int, key: str) -> str:
    """The text without surrounding space. Raises InputError unless it is one line of valid text that is not empty."""
    if not isinstance(value, str) or not (text := value.strip()):
        raise InputError(file, f"{value!r}", "a text that is not empty", row=row, key=key)
    if "\n" in text or "\r" in text:
        raise InputError(file, f"a line break in {text!r}", "one line of text", row=row, key=key)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(file, f"a lone surrogate in {ascii(text)}", "valid Unicode", row=row, key=key)
    return text


def check_answers(value: Any, file: str, row: int, key: str) -> list[str]:
    """The answers. Raises InputError unless they are a list of at least one text."""
    if not isinstance(value, list) or not value:
        raise InputError(file, f"{value!r}", "a list of at least one answer", row=row, key=key)
    return [check_text(answer, file, row, key) for answer in value]
