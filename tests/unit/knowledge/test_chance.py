"""How often WeaklyKnown is luck, by hand."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import estimate_chance
from gradual.knowledge import chance
from gradual.knowledge.chance import chance_rates
from gradual.knowledge.scoring import Measure
from gradual.probe.generations import GENERATION_COLUMNS, GREEDY, SAMPLED
from made_up import LETTERS
from tiny import facts as tiny_facts


def inputs(*rows: tuple[Any, ...]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Generations, facts and categories from rows of relation, answer, category (initial), sampled texts and, where there
    are any, greedy ones."""
    ids = [f"{i:016x}" for i in range(len(rows))]
    relations, answers, letters = zip(*(row[:3] for row in rows), strict=True)
    said = [
        (fact_id, kind, text)
        for fact_id, row in zip(ids, rows, strict=True)
        for kind, texts in zip((SAMPLED, GREEDY), row[3:], strict=False)
        for text in texts
    ]
    facts = pd.DataFrame({"fact_id": ids, "relation": relations, "answers": [[a, "another"] for a in answers]})
    categories = pd.DataFrame({"fact_id": ids, "category": [LETTERS[letter] for letter in letters]})
    return pd.DataFrame(said, columns=["fact_id", "kind", "text"]), facts, categories


def rates(*rows: tuple[Any, ...], rule: str = "substring") -> pd.DataFrame:
    return chance_rates(*inputs(*rows), rule, "first").set_index("relation")


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


def test_facts_that_share_an_answer_are_no_partners_however_it_is_written():
    rows = [("r", "St.\u00a0Louis", "U", ["x"]), ("r", "st. louis", "U", ["St. Louis"])]
    assert pd.isna(rates(*rows).loc["r", "chance"])
    assert rates(*rows, rule="case_sensitive").loc["r", "chance"] == pytest.approx(1 / 2)  # here they differ
    generations, facts, categories = inputs(("r", "x", "U", ["y"]), ("r", "y", "U", ["z"]))
    shared = facts.assign(answers=[["x", "z"], ["y", "z"]])
    for answers, expected in (("first", [1 / 2]), ("any", [float("nan")])):
        found = chance_rates(generations, shared, categories, "substring", answers)
        assert found["chance"].tolist() == pytest.approx(expected, nan_ok=True)


def test_the_scoring_rule_counts():
    # "dark red" is not exactly red.
    assert rates(*COLOURS, rule="exact").loc["colour", "chance"] == pytest.approx((0 + 1 / 2 + 0) / 3)


GREETED = [  # blue's greedy answers hold red under substring
    ("colour", "red", "U", [], ["pink"]),
    ("colour", "blue", "U", ["red"], ["green", "reddish"]),
    ("colour", "green", "U", ["red"], ["blue"]),
    ("colour", "pink", "U", [], []),
]


def test_a_partner_with_a_greedy_hit_is_left_out_and_the_rate_is_that_of_the_others():
    # red against green's samples: hit; against pink's: miss; not against blue's. No other answer is among samples.
    assert rates(*GREETED).loc["colour", "chance"] == pytest.approx((1 / 2 + 0 + 0 + 0) / 4)
    # Under exact nobody's greedy answer is red: blue's samples count.
    assert rates(*GREETED, rule="exact").loc["colour", "chance"] == pytest.approx((2 / 3 + 0 + 0 + 0) / 4)


def test_a_fact_whose_partners_are_all_left_out_has_no_rate():
    rows = [("r", "x", "U", ["y"]), ("r", "y", "U", ["x"], ["x"])]
    assert rates(*rows).loc["r", "chance"] == 1  # that of y alone
    both = [("r", "x", "U", ["y"], ["y"]), ("r", "y", "U", ["x"], ["x"])]
    assert pd.isna(rates(*both).loc["r", "chance"]) and rates(*both).loc["r", "facts"] == 2


def test_others_stand_in_for_partners_that_are_left_out(monkeypatch):
    rows = [("r", f"({i})", "U", ["sampled"], ["greedy"] if i < 5 else []) for i in range(30)]
    held = []
    compare = lambda text, gold: text == "greedy" or bool(held.append(gold))  # noqa: E731
    monkeypatch.setitem(chance.RULES, "substring", Measure(str, compare))
    rates(*rows)
    assert Counter(held) == {f"({i})": chance.PARTNERS for i in range(30)}


def test_facts_with_a_right_greedy_answer_and_other_relations_do_not_take_part():
    solved = [("colour", "green", "H", ["red", "blue"]), ("colour", "pink", "M", ["red", "blue"])]
    found = rates(*COLOURS, *solved, ("town", "red", "U", ["blue"]))
    assert found.loc["colour"].equals(rates(*COLOURS).loc["colour"])
    # A fact alone in its relation has no partner.
    assert found.loc["town", "facts"] == 1 and pd.isna(found.loc["town", "chance"])


def test_a_relation_of_one_answer_has_no_chance_rate():
    assert pd.isna(rates(("r", "x", "U", ["x"]), ("r", "x", "W", ["x"])).loc["r", "chance"])


def test_without_unsolved_facts_there_are_no_rows():
    found = chance_rates(*inputs(("r", "x", "H", [])), "substring", "first")
    assert list(found.columns) == ["relation", "facts", "weakly_known", "chance"] and not len(found)


def test_a_fact_without_samples_hits_nothing():
    assert rates(("r", "x", "U", []), ("r", "y", "U", ["x"])).loc["r", "chance"] == pytest.approx((1 + 0) / 2)


def test_every_fact_is_held_against_at_most_so_many_others_and_each_equally_often(monkeypatch):
    rows = [("r", f"({i})", "U", []) for i in range(30)]
    rows[7] = ("r", "(7)", "W", [f"({i})" for i in range(30)])
    # The samples of one fact hold all answers: each of its holders hits with one of its partners.
    assert rates(*rows).loc["r", "chance"] == pytest.approx(1 / 30)
    held = []
    monkeypatch.setitem(chance.RULES, "substring", Measure(str, lambda text, gold: bool(held.append(gold))))
    rates(*rows)
    assert len(set(held)) == chance.PARTNERS == 20


def test_the_order_of_facts_does_not_matter():
    rows = [("r", f"({i})", "U", [f"({i * i % 50})", f"({i + 1})"], [f"({i * 7 % 50})"]) for i in range(50)]
    generations, facts, categories = inputs(*rows)
    turned = chance_rates(generations[::-1], facts[::-1], categories[::-1], "substring", "first")
    assert turned.equals(chance_rates(generations, facts, categories, "substring", "first"))


def test_the_script_holds_sampled_answers_and_leaves_out_greedy_hits(tmp_path: Path):
    facts = tiny_facts(relations=1, per_split=3)
    train = facts[facts["split"] == "train"].reset_index(drop=True)
    one, two, three = train["fact_id"]
    first, second, third = (answers[0] for answers in train["answers"])
    assert len({first, second, third}) == 3
    said = [
        (one, "greedy", second),  # so that it is no partner of the second fact
        (one, "sampled", second),
        (two, "sampled", first),
        (three, "greedy", "nothing"),
        (three, "sampled", "nothing"),
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
    arguments += [
        "--facts",
        tmp_path / "facts.parquet",
        "--scoring",
        "exact",
        "--answers",
        "first",
        "--chance",
        tmp_path / "chance.csv",
    ]
    estimate_chance.main([str(argument) for argument in arguments])
    found = pd.read_csv(tmp_path / "chance.csv")
    # The first answer is among the samples to one of two others; the second is held against the third fact alone.
    assert found.to_dict("records") == [
        {"relation": "r0", "facts": 3, "weakly_known": 0, "chance": pytest.approx((1 / 2 + 0 + 0) / 3)}
    ]
