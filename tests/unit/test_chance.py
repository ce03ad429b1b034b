"""How often WeaklyKnown is luck, by hand."""

import json
from pathlib import Path

import pandas as pd
import pytest

import estimate_chance
from gradual import chance
from gradual.chance import chance_rates
from gradual.probing import GENERATION_COLUMNS
from made_up import LETTERS
from tiny import facts as tiny_facts


def inputs(*rows: tuple[str, str, str, list[str]]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Sampled answers, facts and categories from rows of relation, answer, category (initial) and sampled texts."""
    ids = [f"{i:016x}" for i in range(len(rows))]
    relations, answers, letters, texts = zip(*rows, strict=True)
    sampled = [(fact_id, text) for fact_id, said in zip(ids, texts, strict=True) for text in said]
    facts = pd.DataFrame({"fact_id": ids, "relation": relations, "answers": [[a, "another"] for a in answers]})
    categories = pd.DataFrame({"fact_id": ids, "category": [LETTERS[letter] for letter in letters]})
    return pd.DataFrame(sampled, columns=["fact_id", "text"]), facts, categories


def rates(*rows: tuple[str, str, str, list[str]], rule: str = "substring") -> pd.DataFrame:
    return chance_rates(*inputs(*rows), rule).set_index("relation")


COLOURS = [
    ("colour", "red", "W", ["blue", "red", "red"]),
    ("colour", "blue", "U", ["dark red", "green"]),
    ("colour", "red", "U", ["green"]),
]


def test_chance_rates_by_hand():
    row = rates(*COLOURS).loc["colour"]
    # red against blue's samples: hit. blue against those of the two reds: hit, miss. The other red against blue's: hit.
    # The reds are not held against each other: they share their answer.
    assert row["chance"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert (row["facts"], row["weakly_known"]) == (3, 1)


def test_the_scoring_rule_counts():
    # "dark red" is not exactly red.
    assert rates(*COLOURS, rule="exact").loc["colour", "chance"] == pytest.approx((0 + 1 / 2 + 0) / 3)


def test_facts_with_a_right_greedy_answer_and_other_relations_do_not_take_part():
    solved = [("colour", "green", "H", ["red", "blue"]), ("colour", "pink", "M", ["red", "blue"])]
    found = rates(*COLOURS, *solved, ("town", "red", "U", ["blue"]))
    assert found.loc["colour"].equals(rates(*COLOURS).loc["colour"])
    # A fact alone in its relation has no partner.
    assert found.loc["town", "facts"] == 1 and pd.isna(found.loc["town", "chance"])


def test_a_relation_of_one_answer_has_no_chance_rate():
    assert pd.isna(rates(("r", "x", "U", ["x"]), ("r", "x", "W", ["x"])).loc["r", "chance"])


def test_without_unsolved_facts_there_are_no_rows():
    found = chance_rates(*inputs(("r", "x", "H", [])), "substring")
    assert list(found.columns) == ["relation", "facts", "weakly_known", "chance"] and not len(found)


def test_a_fact_without_samples_hits_nothing():
    assert rates(("r", "x", "U", []), ("r", "y", "U", ["x"])).loc["r", "chance"] == pytest.approx((1 + 0) / 2)


def test_every_fact_is_held_against_at_most_so_many_others_and_each_equally_often(monkeypatch):
    rows = [("r", f"({i})", "U", []) for i in range(30)]
    rows[7] = ("r", "(7)", "W", [f"({i})" for i in range(30)])
    # The samples of one fact hold all answers: each of its holders hits with one of its partners.
    assert rates(*rows).loc["r", "chance"] == pytest.approx(1 / 30)
    held = []
    monkeypatch.setitem(chance.RULES, "substring", lambda text, answer: bool(held.append(answer)))
    rates(*rows)
    assert len(set(held)) == chance.PARTNERS == 20


def test_the_order_of_facts_does_not_matter():
    rows = [("r", f"({i})", "U", [f"({i * i % 50})", f"({i + 1})"]) for i in range(50)]
    sampled, facts, categories = inputs(*rows)
    turned = chance_rates(sampled[::-1], facts[::-1], categories[::-1], "substring")
    assert turned.equals(chance_rates(sampled, facts, categories, "substring"))


def test_the_script_counts_sampled_answers_alone(tmp_path: Path):
    facts = tiny_facts(relations=1, per_split=2)
    train = facts[facts["split"] == "train"].reset_index(drop=True)
    first, second = ([answers[0]] for answers in train["answers"])
    said = [
        *((train["fact_id"][0], "greedy", text) for text in second),  # must not count
        *((train["fact_id"][0], "sampled", text) for text in ["nothing"]),
        *((train["fact_id"][1], "sampled", text) for text in first),
    ]
    generations = pd.DataFrame(
        [(fact_id, 0, kind, text, 1, 3, "stop") for fact_id, kind, text in said], columns=list(GENERATION_COLUMNS)
    )
    files = [tmp_path / f"generations-{i}.parquet" for i in range(2)]
    generations[:1].to_parquet(files[0])
    generations[1:].to_parquet(files[1])
    facts.to_parquet(tmp_path / "facts.parquet")
    categories = pd.DataFrame({"fact_id": train["fact_id"], "category": "Unknown"})
    categories.to_parquet(tmp_path / "categories.parquet")
    arguments = ["--generations", *files, "--categories", tmp_path / "categories.parquet"]
    arguments += ["--facts", tmp_path / "facts.parquet", "--scoring", "exact", "--chance", tmp_path / "chance.csv"]
    estimate_chance.main([str(argument) for argument in arguments])
    found = pd.read_csv(tmp_path / "chance.csv")
    # The first fact's answer is among the samples to the second, not the other way round.
    assert json.loads(found.to_json(orient="records")) == [
        {"relation": "r0", "facts": 2, "weakly_known": 0, "chance": 0.5}
    ]
