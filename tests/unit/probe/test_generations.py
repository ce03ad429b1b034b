"""Generations files: written as answers come, and what is said of broken ones."""

from pathlib import Path

import pandas as pd
import pytest

from damage import cut, drop_column, halve, replace_by_text, scratch
from gradual.ground.errors import InputError
from gradual.ground.files import write_atomically
from gradual.probe.answers import Answer, Answered, Asking, Decoding, Prompt, Usage
from gradual.probe.generations import GENERATION_COLUMNS, read_generations
from gradual.probe.questions import unsolved
from gradual.probe.recording import GenerationsFile, append_generations


class Parrot:
    """An engine that answers every prompt with its text."""

    def __init__(self):
        self.usage = Usage()

    def answer(self, groups, decoding, asking):
        for group in groups:
            answered = [Answered(p, Answer(p.text, 2, "stop")) for p in group]
            wanted = decoding.samples and asking.wants_samples(answered)
            samples = (Answer("a", 1, "stop", 3), Answer("b", 1, "length", 1)) if wanted else ()
            yield [Answered(a.prompt, a.greedy, samples) for a in answered]


GROUPS = [[Prompt(f"f{i}", p, f"said {i}") for p in range(2)] for i in range(5)]


def write(path, groups, *constants, **values):
    with GenerationsFile(path, *constants) as file:
        gold = pd.Series({f"f{i}": ("said 3",) for i in range(5)})
        append_generations(
            Parrot(), iter(groups), len(GROUPS), Decoding(4, (), samples=4), Asking(unsolved(gold)), file, **values
        )


def test_generations_are_a_row_per_distinct_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("gradual.probe.recording.ROWS_HELD", 3)  # several row groups
    write(tmp_path / "g.parquet", GROUPS, "epoch", epoch=7)
    table = read_generations([tmp_path / "g.parquet"])
    assert list(table.columns) == ["epoch", *GENERATION_COLUMNS]
    assert set(table["epoch"]) == {7}
    greedy = table[table["kind"] == "greedy"]
    assert greedy["text"].tolist() == [p.text for group in GROUPS for p in group]
    sampled = table[table["kind"] == "sampled"]
    assert set(sampled["fact_id"]) == {"f0", "f1", "f2", "f4"}  # f3's greedy answers are verbatim right
    assert set(sampled.groupby(["fact_id", "prompt_index"])["count"].sum()) == {4}


def test_a_shard_without_facts_is_a_file_like_the_others(tmp_path):
    write(tmp_path / "0.parquet", GROUPS)
    write(tmp_path / "1.parquet", [])
    alone = read_generations([tmp_path / "0.parquet"])
    assert read_generations([tmp_path / "0.parquet", tmp_path / "1.parquet"]).equals(alone)


BROKEN = {
    "missing": Path.unlink,
    "empty": cut,
    "truncated": halve,
    "cut in its footer": lambda path: cut(path, path.stat().st_size - 4),
    "corrupt": scratch,
    "a pointer to it": replace_by_text,
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_a_broken_shard_is_a_clear_error(damage, tmp_path):
    for name in ("0.parquet", "1.parquet"):
        write(tmp_path / name, GROUPS)
    damage(tmp_path / "1.parquet")
    with pytest.raises(InputError, match="expected generations, as a whole Parquet file") as caught:
        read_generations([tmp_path / "0.parquet", tmp_path / "1.parquet"])
    assert caught.value.file == str(tmp_path / "1.parquet")


@pytest.mark.parametrize("column", GENERATION_COLUMNS)
def test_a_shard_without_a_column_is_a_clear_error(column, tmp_path):
    write(tmp_path / "0.parquet", GROUPS)
    drop_column(tmp_path / "0.parquet", column)
    with pytest.raises(InputError, match="expected generations") as caught:
        read_generations([tmp_path / "0.parquet"])
    assert (caught.value.file, caught.value.key) == (str(tmp_path / "0.parquet"), column)


def test_a_shard_that_is_stopped_midway_leaves_no_file(tmp_path):
    """The engine's own error comes through, not one about the file."""

    def stopped():
        yield from GROUPS[:2]
        raise InputError("fact f2", "a prompt of 9 tokens", "at most 8")

    with pytest.raises(InputError, match="a prompt of 9 tokens"), write_atomically(tmp_path / "g.parquet") as temporary:
        write(temporary, stopped())
    assert not list(tmp_path.iterdir())
