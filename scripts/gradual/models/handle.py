"""The handle of a base model, `base.json`. It names the folder of the model's files, and has their sizes and digests.

A job that needs a base model depends on this one small file, which changes when the model does. The folder is "." where
the files lie beside the handle, else its absolute path. A job compares the files with the handle when it loads them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import digest, read_json, write_json
from gradual.models.folder import check_model_folder, model_files


def write_handle(handle: Path, folder: Path, source: str, card: Mapping[str, Any] | None = None) -> None:
    """Check the base model's files in `folder`, and write their handle, with the card of a model that was converted.

    Raises InputError where the files cannot be used (`check_model_folder`).
    """
    files = {str(file.relative_to(folder)): file for file in model_files(folder)}
    check_model_folder(folder, [*files])
    inside = folder.resolve() == handle.parent.resolve()
    write_json(
        {
            "source": source,
            **({"card": {key: value for key, value in card.items() if key != "files"}} if card else {}),
            "path": "." if inside else str(folder.resolve()),
            "size": {name: file.stat().st_size for name, file in files.items()},
            "sha256": {name: digest(file) for name, file in files.items()},
        },
        handle,
    )


def model_folder(handle: Path) -> Path:
    """The folder of a base model's files.

    Raises InputError where one of them is missing, cannot be used, or is not as it was when the handle was written.
    """
    named = read_json(handle, "the handle of a base model")
    for key, kind in (("path", str), ("size", dict), ("sha256", dict)):
        if not isinstance(named, dict) or not isinstance(named.get(key), kind):
            raise InputError(
                handle, "the key is missing or broken", "a handle as fetch_base and pretrain_base write it", key=key
            )
    path = Path(named["path"])
    folder = path if path.is_absolute() else Path(handle).parent / path
    again = f"the model's file that {handle} names (restore it, or remove {handle} to make the model again)"
    for name in named["sha256"]:
        if not (folder / name).is_file():
            raise InputError(folder / name, "is missing", again)
    check_model_folder(folder, list(named["sha256"]))
    for file in model_files(folder):
        if str(file.relative_to(folder)) not in named["sha256"]:
            expected = f"the files that {handle} names (remove this one, or remove {handle} to make it again)"
            raise InputError(file, "was not there when the model was fetched", expected)
    if other := _changed(Path(handle), folder, named["size"], named["sha256"]):
        raise InputError(folder / other, "is not as it was when the model was fetched", again)
    return folder


def _changed(handle: Path, folder: Path, sizes: dict[str, int], digests: dict[str, str]) -> str | None:
    """The name of a file that is not as its handle says, or None.

    A file that has not changed in any way since the handle was written has the digest that the handle says. The system sets
    the time of a file's last change (ctime), and `cp -a` cannot set it back. It does not show that a whole folder has taken
    the place of another, so that the folder's own time counts too. But the handle changes the time of its own folder.
    """
    written = min(handle.stat().st_mtime_ns, handle.stat().st_ctime_ns)
    in_place = folder.samefile(handle.parent) or folder.stat().st_ctime_ns < written
    for name, expected in digests.items():
        file, stat = folder / name, (folder / name).stat()
        changed = max(stat.st_ctime_ns, file.lstat().st_ctime_ns)  # of the file, and of a link to it
        if stat.st_size != sizes.get(name):
            return name
        if not (in_place and changed < written) and _digest(file, stat.st_ino, stat.st_ctime_ns) != expected:
            return name
    return None


@cache
def _digest(file: Path, inode: int, changed: int) -> str:
    """The digest of a file, once for each state of the file."""
    return digest(file)
