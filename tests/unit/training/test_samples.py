"""The samples of a run: a broken file is named, with its row and key."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.training.samples import KINDS, SAMPLE_COLUMNS, questions_of, read_samples

ROOT = Path(__file__).resolve().parents[3]
A, B = "a" * 16, "b" * 16
ROWS = [
    (A, "Who?", "target", "Ada", 0, " Ada\n", -1.5, 2),
    (A, "Who?", "aligned", "it is Ada", 3, " it is Ada\n", -2.0, 4),
    (A, "Who?", "conflicting", "", 5, " \n", -0.5, 1),
    (B, "Who?", "target", "Bo", 0, " Bo\n", 0.0, 2),
    (B, "Who?", "conflicting", "Ada", 8, " Ada", -2.0, 1),
]
UNFIT = {
    "another id": ("fact_id", 2, "a", "'a'; expected 16 hex digits"),
    "no question": ("question", 4, " ", "' '; expected a text that is not empty"),
    "an unknown kind": ("kind", 2, "right", "'right'; expected one of target, aligned, conflicting"),
    "no text": ("text", 3, None, "expected a text"),
    "no completion": ("completion", 1, None, "expected a text"),
    "a sample that nothing gave": ("count", 5, 0, "0; expected how many samples gave the text, and 0 for a target"),
    "a target that samples gave": ("count", 1, 2, "2; expected how many samples gave the text, and 0 for a target"),
    "a positive log-probability": ("log_probability", 2, 0.5, "0.5; expected a finite number that is at most 0"),
    "an infinite log-probability": ("log_probability", 2, float("-inf"), "expected a finite number that is at most 0"),
    "no log-probability": ("log_probability", 5, float("nan"), "nan; expected a finite number"),
    "a negative number of tokens": ("tokens", 4, -1, "-1; expected a number of tokens"),
}


def written(samples, folder):
    write_parquet(samples, folder / "samples.parquet")
    return folder / "samples.parquet"


def samples(rows=ROWS):
    return pd.DataFrame(rows, columns=SAMPLE_COLUMNS)


def test_samples_follow_their_schema():
    schema = json.loads((ROOT / "schemas" / "samples.schema.json").read_text(encoding="utf-8"))
    assert list(schema["properties"]) == list(SAMPLE_COLUMNS) == schema["required"]
    assert schema["properties"]["kind"]["enum"] == list(KINDS)
    for row in samples().to_dict("records"):
        jsonschema.validate(row, schema)


def test_samples_are_read_as_they_were_written(tmp_path):
    assert read_samples(written(samples(), tmp_path)).equals(samples())


@pytest.mark.parametrize(("key", "row", "value", "words"), UNFIT.values(), ids=UNFIT)
def test_samples_that_break_their_schema_are_named(key, row, value, words, tmp_path):
    broken = samples()
    broken.loc[row - 1, key] = value
    file = written(broken, tmp_path)
    with pytest.raises(InputError) as caught:
        read_samples(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), row, key)
    assert words in str(caught.value)


@pytest.mark.parametrize("column", SAMPLE_COLUMNS)
def test_samples_without_a_column_are_named(column, tmp_path):
    file = written(samples().drop(columns=column), tmp_path)
    with pytest.raises(InputError, match="expected the samples of a run with this column") as caught:
        read_samples(file)
    assert (caught.value.file, caught.value.key) == (str(file), column)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (ROWS[:3] + ROWS[4:], "has 0 targets and 1 samples of fact b{16} for 'Who"),
        (ROWS[:4], "has 1 targets and 0 samples of fact b{16} for 'Who"),
        (ROWS + ROWS[3:4], "has 2 targets and 1 samples of fact b{16} for 'Who"),
    ],
)
def test_each_question_has_one_target_and_samples(left, words, tmp_path):
    file = written(samples(left), tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        read_samples(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), 4, "kind")


def test_a_question_is_sampled_once_and_has_one_answer():
    asked = pd.DataFrame({"fact_id": list("aab"), "question": ["Who?"] * 3, "answer": ["Ada", "Ada", "Bo"], "role": 1})
    assert questions_of(asked, "file")["fact_id"].tolist() == ["a", "b"]
    with pytest.raises(InputError, match=r"fact a has two answers to 'Who\?'; expected one") as caught:
        questions_of(asked.assign(answer=["Ada", "Bo", "Bo"]), "file")
    assert (caught.value.file, caught.value.key) == ("file", "answer")
