import pandas as pd
import pytest

from gradual.engines.interface import GENERATION_COLUMNS, Answer, Answered, Decoding, Prompt, Usage
from gradual.errors import InputError
from gradual.probing import GenerationsFile, append_generations, read_generations, shard, unsolved
from tiny import facts


class Parrot:
    """An engine that answers every prompt with its text."""

    def __init__(self):
        self.usage = Usage()

    def answer(self, groups, decoding, wants_samples):
        for group in groups:
            answered = [Answered(p, Answer(p.text, 2, "stop")) for p in group]
            wanted = decoding.samples and wants_samples(answered)
            samples = (Answer("a", 1, "stop", 3), Answer("b", 1, "length", 1)) if wanted else ()
            yield [Answered(a.prompt, a.greedy, samples) for a in answered]


GROUPS = [[Prompt(f"f{i}", p, f"said {i}") for p in range(2)] for i in range(5)]


def write(path, groups, *constants, **values):
    with GenerationsFile(path, *constants) as file:
        gold = pd.Series({f"f{i}": "said 3" for i in range(5)})
        append_generations(
            Parrot(), iter(groups), len(groups), Decoding(4, (), samples=4), unsolved(gold), file, **values
        )


def test_generations_are_a_row_per_distinct_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("gradual.probing.ROWS_HELD", 3)  # several row groups
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


def test_a_truncated_shard_is_a_clear_error(tmp_path):
    write(tmp_path / "0.parquet", GROUPS)
    whole = (tmp_path / "0.parquet").read_bytes()
    (tmp_path / "0.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"0\.parquet: cannot be read"):
        read_generations([tmp_path / "0.parquet"])


@pytest.mark.parametrize("count", [1, 3, 100])
def test_the_shards_are_all_facts_once(count):
    table = facts()
    parts = [shard(table, i, count) for i in range(count)]
    assert pd.concat(parts).equals(table)
