"""Raw files of a dataset: one file, a folder, or a zip archive that is not unpacked; and checks of their content."""

import bz2
import difflib
import gzip
import hashlib
import io
import json
import lzma
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, TypeVar

import pandas as pd

from gradual.ground.errors import InputError, together
from gradual.ground.normal_form import normal_form

MAX_ARCHIVE_BYTES = 1 << 30  # all members of an archive together, unpacked; EntityQuestions has 0.03 GiB
MAX_FOLDER_DEPTH = 4  # as in <archive's folder>/dataset/train/P17.train.json
BOM = b"\xef\xbb\xbf"
TABLES = (".csv", ".tsv", ".parquet", ".arrow", ".json", ".jsonl", ".ndjson")  # what a file of rows may end in
Row = TypeVar("Row")
Made = TypeVar("Made")


def _zstandard(packed: IO[bytes]) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(packed, "zstd")


UNPACKED: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda packed: gzip.GzipFile(fileobj=packed),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _zstandard,
}


@dataclass(frozen=True)
class RawFile:
    """One file: its name in errors, its path inside the source, a function that reads it, and the file on the disk.

    `split` is the split of its rows, where its name or the config says it.
    """

    label: str
    path: PurePosixPath
    read: Callable[[], bytes]
    origin: Path
    split: str = ""

    @property
    def format(self) -> str:
        """The ending that says how the content is read, without that of a compression."""
        name = PurePosixPath(self.path.name.lower())
        return PurePosixPath(name.stem).suffix if name.suffix in UNPACKED else name.suffix

    def content(self) -> bytes:
        """The content, unpacked. Raises InputError where it cannot be read, or unpacks to too much."""
        ending = self.path.suffix.lower()
        if ending not in UNPACKED:
            return self._tried(self.read)
        content: bytes = self._tried(lambda: UNPACKED[ending](io.BytesIO(self.read())).read(MAX_ARCHIVE_BYTES + 1))
        if len(content) > MAX_ARCHIVE_BYTES:
            raise InputError(self.label, "unpacks to too much", f"at most {MAX_ARCHIVE_BYTES} bytes")
        return content

    def digest(self) -> str:
        """sha256 of the file as it is. Raises InputError where it cannot be read."""
        return self._tried(lambda: hashlib.sha256(self.read()).hexdigest())

    def _tried(self, use: Callable[[], Made]) -> Made:
        try:
            return use()
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise InputError(self.label, f"cannot be read ({error})", "a whole, readable file") from error

    def text(self) -> str:
        """The content as text, without a byte-order mark. Raises InputError unless it is UTF-8."""
        content = self.content().removeprefix(BOM)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            problem = f"byte {error.start}: not UTF-8 ({error.reason})"
            raise InputError(self.label, problem, "UTF-8", row=line) from error


class Reader(NamedTuple):
    """The reader of a dataset's files.

    `find(source)` says which files are read, and `read(source, *, type_from)` makes the facts table of them. `type_from`
    (question_word or one_pool) declares the type of a question if the dataset has no types. Both raise InputError, with
    the file, the row (a line, or a place in a list, both from 1) and the key. Readers of tables (readers/table.py) also
    take `files` and `columns`.
    """

    find: Callable[..., list[RawFile]]
    read: Callable[..., pd.DataFrame]


def members(source: Path) -> list[RawFile]:
    """The files of a folder or zip archive, or the file that the source is, in order of path; without hidden ones.

    What is read, tracked and checked is chosen from these. Raises InputError where the source cannot be read or is unsafe.
    """
    single = RawFile(str(source), PurePosixPath(source.name), source.read_bytes, source)
    if source.is_dir():
        files = _in_folder(source)
    elif not source.is_file():
        raise InputError(source, "there is no such file or folder", "a folder, a zip archive or a file of the data")
    elif single.format in TABLES:
        return [single]
    else:
        files = _in_archive(source)
    seen = (file for file in files if not any(part.startswith((".", "__MACOSX")) for part in file.path.parts))
    return sorted(seen, key=lambda file: file.path)


def find(source: Path, pattern: str, wanted: str) -> dict[str, RawFile]:
    """The files of a source whose names (without folders) match the pattern, by name, in order of path.

    `wanted` describes them in errors. Raises InputError where the source has none of these files, or has two with the same
    name.
    """
    found: dict[str, RawFile] = {}
    for file in members(source):
        name = file.path.name
        if not re.fullmatch(pattern, name):
            continue
        if name in found:
            raise InputError(source, f"holds both {found[name].path} and {file.path}", f"one {name}")
        found[name] = file
    if not found:
        raise InputError(source, "holds none of the files", wanted)
    return found


def verify(source: Path, read: Iterable[RawFile], manifest: Path) -> int:
    """Check raw files against a manifest in `sha256sum` format, and return how many files it names.

    The manifest must name every file that is `read`. Folders count only where two files have the same name. Raises
    InputError for a manifest that cannot be used, and for files that are missing, not named or have another digest.
    """
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(manifest, f"cannot be read ({error})", "a list of digests, as sha256sum writes it") from error
    there, named, faults = members(source), set(), []
    for number, line in enumerate(lines, 1):
        if not (parts := re.fullmatch(r"([0-9a-f]{64}) [ *](\S.*)", line)):
            raise InputError(manifest, repr(line), "a sha256, two spaces and a file", row=number)
        digest, path = parts[1], PurePosixPath(parts[2])
        same = [file for file in there if file.path.name == path.name]
        if len(same) > 1:
            same = [f for f in same if all(a == b for a, b in zip(f.path.parts[::-1], path.parts[::-1], strict=False))]
        if not same:
            faults.append(InputError(source, f"has no {path}", f"the files of {manifest}"))
            continue
        for file in same:
            named.add(file.path)
            if (found := file.digest()) != digest:
                faults.append(InputError(file.label, f"its sha256 is {found}", f"{digest}, as in {manifest}"))
    faults += [
        InputError(manifest, f"does not name {file.path}, which is read", "the digest of every file that is read")
        for file in read
        if file.path not in named
    ]
    if faults:
        raise together(faults)
    return len(lines)


def _in_folder(folder: Path) -> list[RawFile]:
    paths = (path for depth in range(MAX_FOLDER_DEPTH) for path in folder.glob("*/" * depth + "*") if path.is_file())
    return [
        RawFile(str(path), PurePosixPath(path.relative_to(folder).as_posix()), path.read_bytes, path) for path in paths
    ]


def _in_archive(archive: Path) -> list[RawFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(
            archive,
            f"cannot be read ({error})",
            f"a folder, a whole zip archive (unpack others), or a file *{', *'.join(TABLES)}",
        ) from error
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or re.search(r"^[A-Za-z]:|\\", member.filename):
            raise InputError(archive, f"the unsafe member {member.filename!r}", "paths that stay inside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(archive, f"the member {member.filename!r} is a symbolic link", "plain files")
    if twice := {name for name, count in Counter(member.filename for member in members).items() if count > 1}:
        raise InputError(archive, f"holds two members {min(twice)!r}", "one member of each name")
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
        RawFile(label, PurePosixPath(member.filename), reader(member, label), archive)
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
    if not isinstance(value, str) or not (text := value.strip()) or not normal_form(text):
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


def each(rows: Iterable[tuple[int, Row]], read: Callable[[int, Row], Made]) -> list[Made]:
    """What `read` makes of each row and its number. Raises one InputError about all rows at fault, up to twenty."""
    made, faults = [], []
    for number, row in rows:
        try:
            made.append(read(number, row))
        except InputError as error:
            faults.append(error)
    if len(faults) > 1 and not made and len({(fault.key, fault.problem) for fault in faults}) == 1:
        first = faults[0]
        raise InputError(first.file, f"{first.problem} in every row", first.expected, row=first.row, key=first.key)
    if faults:
        raise together(faults)
    return made
