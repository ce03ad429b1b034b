"""Generations files: written as answers come, and what is said of broken ones."""

import logging
import time
from pathlib import Path

import pandas as pd
import pytest

from damage import cut, drop_column, halve, replace_by_text, scratch
from gradual.ground.errors import InputError
from gradual.ground.files import write_atomically
from gradual.probe.answers import Answer, Answered, Asking, Decoding, Progress, Prompt, Usage
from gradual.probe.generations import GENERATION_COLUMNS, read_generations
from gradual.probe.questions import unsolved
from gradual.probe.recording import GenerationsFile, append_generations, kept_folder, progress_line


class Parrot:
    """An engine that answers every prompt with its text. It answers groups two by two."""

    def __init__(self):
        self.usage = Usage()
        self.yielded = 0

    def progress(self):
        return Progress(self.yielded, self.yielded // 2 * 2)

    def answer(self, groups, decoding, asking):
        self.yielded = 0
        for group in groups:
            self.usage.prompts += len(group)
            self.yielded += 1
            answered = [Answered(p, Answer(p.text, 2, "stop")) for p in group]
            wanted = decoding.samples and asking.wants_samples(answered)
            samples = (Answer("a", 1, "stop", 3), Answer("b", 1, "length", 1)) if wanted else ()
            yield [Answered(a.prompt, a.greedy, samples) for a in answered]


GROUPS = [[Prompt(f"f{i}", p, f"said {i}") for p in range(2)] for i in range(5)]


def write(path, groups, *constants, **values):
    """Write the answers to the groups. Returns how many prompts the engine has answered, kept ones included."""
    engine = Parrot()
    with GenerationsFile(path, kept_folder(path, "key"), *constants) as file:
        engine.usage.add(file.usage)
        gold = pd.Series({f"f{i}": ("said 3",) for i in range(5)})
        for number in values.pop("epochs", [None]):
            named = values if number is None else values | {"epoch": number}
            append_generations(
                engine, iter(groups), len(GROUPS), Decoding(4, (), samples=4), Asking(unsolved(gold)), file, **named
            )
    return engine.usage.prompts


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


class Killed(Exception):
    """Stands for the end of a process."""


class Groups:
    """GROUPS for two epochs. The process ends before the group number `end` of both; `asked` counts groups."""

    def __init__(self, end=99):
        self.end, self.asked = end, 0

    def __iter__(self):
        for group in GROUPS:
            yield group
            self.asked += 1
            if self.asked == self.end:
                raise Killed


@pytest.mark.parametrize("end", [1, 2, 3, 4, 5, 7, 9])
def test_a_job_that_is_killed_keeps_its_answers_and_asks_only_the_others(end, tmp_path, monkeypatch):
    monkeypatch.setattr("gradual.probe.recording.SECONDS_UNKEPT", 0)
    assert write(tmp_path / "whole.parquet", Groups(), "epoch", epochs=[1, 2]) == 20
    with pytest.raises(Killed), write_atomically(tmp_path / "g.parquet"):
        write(tmp_path / "g.parquet", Groups(end), "epoch", epochs=[1, 2])
    (tmp_path / "g.parquet").unlink(missing_ok=True)
    (kept,) = tmp_path.glob("g.kept-*") if end > 2 else [tmp_path]
    again = Groups()
    assert write(tmp_path / "g.parquet", again, "epoch", epochs=[1, 2]) == 20  # with the work of the killed job
    found = read_generations([tmp_path / "g.parquet"], "epoch")
    assert found.equals(read_generations([tmp_path / "whole.parquet"], "epoch"))
    assert not kept.exists() or kept == tmp_path
    assert {file.name for file in tmp_path.iterdir()} == {"g.parquet", "whole.parquet"}


def test_answers_that_were_kept_for_other_settings_are_not_taken(tmp_path):
    assert kept_folder(tmp_path / "g.parquet", ("a", 1)) != kept_folder(tmp_path / "g.parquet", ("a", 2))
    assert kept_folder(tmp_path / "g.parquet", "a") != kept_folder(tmp_path / "h.parquet", "a")


@pytest.mark.parametrize("damage", [cut, halve, replace_by_text], ids=["empty", "truncated", "a pointer to it"])
def test_a_broken_portion_is_a_clear_error(damage, tmp_path, monkeypatch):
    monkeypatch.setattr("gradual.probe.recording.SECONDS_UNKEPT", 0)
    with pytest.raises(Killed):
        write(tmp_path / "g.parquet", Groups(4), "epoch", epoch=1)
    (portion, *_) = sorted(tmp_path.glob("g.kept-*/*.parquet"))
    damage(portion)
    with pytest.raises(InputError, match="expected answers that were kept, or no ") as caught:
        write(tmp_path / "g.parquet", Groups(), "epoch", epoch=1)
    assert caught.value.file == str(portion)


def test_a_line_of_progress_has_the_rate_and_the_time_left():
    assert progress_line(0, 0, 960, 10) == "0 of 960 facts"
    assert progress_line(0, 10.4, 960, 10) == "10 of 960 facts, 1 facts/s, 15 min left"
    assert progress_line(900, 30, 960, 15) == "930 of 960 facts, 2 facts/s, 15 s left"


def test_a_long_wave_is_told_while_it_is_computed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("gradual.probe.recording.SECONDS_BETWEEN_LINES", 0.01)

    class Slow(Parrot):
        def progress(self):
            return Progress(2.5, 0)

        def answer(self, groups, decoding, asking):
            deadline = time.monotonic() + 20
            while "2 of 5 facts" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.01)
            yield from super().answer(groups, decoding, asking)

    with caplog.at_level(logging.INFO, "gradual"), GenerationsFile(tmp_path / "g.parquet", tmp_path / "kept") as file:
        append_generations(Slow(), iter(GROUPS), len(GROUPS), Decoding(4, ()), Asking(), file)
    assert "2 of 5 facts" in caplog.text
