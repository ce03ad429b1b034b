"""Files are written whole or not at all, and errors say where."""

import errno
import json

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.ground.files import write_atomically, write_csv, write_json, write_parquet, write_text


def test_written_whole_with_parents_and_plain_mode(tmp_path):
    path = tmp_path / "a" / "b" / "value.json"
    write_json({"city": "Zürich"}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"city": "Zürich"}
    assert "Zürich" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in path.parent.iterdir()] == ["value.json"]


def test_tables_come_back_without_their_index(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=[7, 8])
    write_parquet(frame, tmp_path / "t.parquet")
    write_csv(frame, tmp_path / "t.csv")
    for read in (pd.read_parquet(tmp_path / "t.parquet"), pd.read_csv(tmp_path / "t.csv")):
        pd.testing.assert_frame_equal(read, frame.reset_index(drop=True), check_dtype=False)


@pytest.mark.parametrize("failure", [ValueError("no"), OSError(errno.EIO, "no"), KeyboardInterrupt()])
def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, failure):
    path = tmp_path / "value.txt"
    write_text("old", path)
    with pytest.raises(type(failure)), write_atomically(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_named(tmp_path, code):
    path = tmp_path / "value.txt"
    with pytest.raises(InputError, match=r"value\.txt: the disk is full") as caught, write_atomically(path):
        raise OSError(code, "full")
    assert caught.value.file == str(path)
    assert not list(tmp_path.iterdir())


def test_error_names_file_row_and_key():
    error = InputError("a.json", "''", "a text", row=3, key="question")
    assert str(error) == "a.json, row 3, key 'question': ''; expected a text"
    assert isinstance(error, ValueError)
