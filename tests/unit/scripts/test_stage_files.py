"""The files of a study whose answers change: whatever cell of them is malformed, the error names file, row and key."""

import pandas as pd
import pytest

from gradual.data.question_wordings import WORDING_COLUMNS, read_wordings
from gradual.data.revisions import GROUP_COLUMNS, REVISION_COLUMNS, read_groups, read_revisions
from gradual.ground.errors import InputError
from gradual.training.augmentation import AUGMENTED_COLUMNS, FLAGS, read_augmented
from gradual.training.samples import SAMPLE_COLUMNS, read_samples

A, B = "a" * 16, "b" * 16
# For each file its reader, whole rows, and for each column a value that its second row must not have.
FILES = {
    "revisions": (
        read_revisions,
        pd.DataFrame([(A, 0, "x"), (A, 1, "y"), (B, 0, "z")], columns=REVISION_COLUMNS),
        {"fact_id": "a", "revision": -1, "answer": " "},
    ),
    "groups": (
        read_groups,
        pd.DataFrame([(A, "", "kept"), (B, "", "revised")], columns=GROUP_COLUMNS),
        {"fact_id": "", "domain": None, "role": "reviewed"},
    ),
    "wordings": (
        read_wordings,
        pd.DataFrame([(A, 0, "Who?"), (A, 1, "Which one?")], columns=WORDING_COLUMNS),
        {"fact_id": None, "wording": -1, "question": ""},
    ),
    "samples": (
        read_samples,
        pd.DataFrame(
            [(A, "Who?", "target", "x", 0, " x\n", -1.0, 2), (A, "Who?", "conflicting", "y", 4, " y\n", -2.0, 2)],
            columns=SAMPLE_COLUMNS,
        ),
        {"fact_id": "b", "question": "", "kind": "wrong", "text": None, "count": 0, "completion": None}
        | {"log_probability": 0.5, "tokens": -1},
    ),
    "augmented": (
        read_augmented,
        pd.DataFrame(
            [
                (A, "Who?", "paraphrase", "model", "", "", False, False, False, False, False, None),
                (A, "Who?", "background", "templates", "x.", "x. Who?", True, True, False, False, False, True),
            ],
            columns=AUGMENTED_COLUMNS,
        ).astype({"agrees": "boolean"}),
        {"fact_id": "a", "question": " ", "way": "cause", "made_by": "ghost", "written": None, "augmented": " "}
        | dict.fromkeys(FLAGS)
        | {"agrees": "yes"},
    ),
}
CELLS = [(name, column) for name, (_, _, wrong) in FILES.items() for column in wrong]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file.parquet"


@pytest.mark.parametrize("name", FILES)
def test_whole_files_are_read(name, file):
    read, rows, wrong = FILES[name]
    rows.to_parquet(file)
    assert read(file).equals(rows) and list(wrong) == list(rows.columns)


@pytest.mark.parametrize(("name", "column"), CELLS)
def test_a_malformed_cell_is_named(name, column, file):
    read, rows, wrong = FILES[name]
    values = rows[column].tolist()
    values[1] = wrong[column]
    rows.assign(**{column: values}).to_parquet(file)
    with pytest.raises(InputError) as caught:
        read(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), 2, column)
    missing = wrong[column] is None  # pandas has a value of its own for it
    assert (missing or repr(wrong[column]) in caught.value.problem) and caught.value.expected


@pytest.mark.parametrize(("name", "column"), CELLS)
def test_a_missing_column_is_named(name, column, file):
    read, rows, _ = FILES[name]
    rows.drop(columns=column).to_parquet(file)
    with pytest.raises(InputError, match="with this column") as caught:
        read(file)
    assert (caught.value.file, caught.value.key) == (str(file), column)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_short_is_named(name, file):
    read, rows, _ = FILES[name]
    rows.to_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read") as caught:
        read(file)
    assert caught.value.file == str(file)
