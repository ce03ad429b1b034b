"""The examples of a run that trains on as many tokens as another run."""

import pandas as pd
import pytest

import match_tokens
from gradual.ground.files import write_parquet


def words(text, **_):
    """A tokenizer of words."""
    ends = [place for place, sign in enumerate(text) if sign in " \n"] + [len(text)]
    return {"input_ids": list(range(len(ends))), "offset_mapping": [(0, end) for end in ends]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Own examples of five tokens each, and those of another run, which has three more words before each question."""
    monkeypatch.setattr(match_tokens, "load_tokenizer", lambda _: words)
    own = pd.DataFrame({"fact_id": [f"{i:016x}" for i in range(6)], "role": ["train"] * 5 + ["replay"]})
    own = own.assign(question=[f"Who {i}?" for i in range(6)], answer="Ada", source="revision 1")
    longer = own[:5].assign(question="It is so. " + own["question"][:5])
    write_parquet(own, tmp_path / "own.parquet")
    write_parquet(pd.concat([own[:5], longer, own[5:]]), tmp_path / "other.parquet")
    return tmp_path


def test_it_has_more_rows_than_a_run_with_as_many_steps(folder):
    match_tokens.main(
        ["--base", "base", *(f"--{name}={folder / name}.parquet" for name in ("own", "other", "examples"))]
        + ["--format", "plain", "--seed", "0"]
    )
    found = pd.read_parquet(folder / "examples.parquet")
    own, other = (pd.read_parquet(folder / f"{name}.parquet") for name in ("own", "other"))
    # The other run has 5 rows of so many tokens, and 5 of three more. So 13 own rows have as many, but for a rest.
    size = len(words("Q: Who 0?\nA: Ada\n")["input_ids"])
    rows = (2 * 5 * size + 5 * 3) // size
    assert (found["role"] == "train").sum() == rows > (other["role"] == "train").sum()
    assert found[found["role"] == "train"]["fact_id"].value_counts().between(rows // 5, rows // 5 + 1).all()
    assert found[found["role"] == "replay"].reset_index(drop=True).equals(own[5:].reset_index(drop=True))
