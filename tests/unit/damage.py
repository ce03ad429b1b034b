"""Ways to break files, for tests of what is said about broken ones."""

import json
import shutil
from pathlib import Path

import pandas as pd


def cut(path: Path, size: int = 0) -> None:
    """Leave only the first bytes, as a copy that was interrupted."""
    path.write_bytes(path.read_bytes()[:size])


def halve(path: Path) -> None:
    cut(path, path.stat().st_size // 2)


def scratch(path: Path) -> None:
    """Overwrite bytes at the beginning, as a bad disk may: a Parquet file keeps its footer, but not its pages."""
    content = path.read_bytes()
    path.write_bytes(content[:40] + b"\xff" * 30 + content[70:])


def replace_by_text(path: Path) -> None:
    """A pointer of Git LFS instead of the file, as a checkout without LFS has it."""
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")


def edit_json(file: Path, /, *removed: str, **changes: object) -> None:
    value = json.loads(file.read_text(encoding="utf-8"))
    kept = {key: item for key, item in value.items() if key not in removed}
    file.write_text(json.dumps(kept | changes))


def edit_weights(path: Path, change) -> None:
    """Apply a change to a dict of a safetensors file's tensors."""
    from safetensors.torch import load_file, save_file

    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def drop_column(path: Path, column: str) -> None:
    pd.read_parquet(path).drop(columns=column).to_parquet(path, index=False)


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, to see that nothing was written or left behind."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
