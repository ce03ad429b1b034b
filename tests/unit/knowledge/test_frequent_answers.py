"""Frequent answers: what a state can answer without knowing the fact."""

import pandas as pd
import pytest

from gradual.knowledge.frequent_answers import frequent_golds, majority_right, majority_said, train_answers
from made_up import facts_of

ANSWERS = facts_of(
    *(("train", "colour", answer) for answer in ("red", "blue", "red", "green")),
    *(("train", "town", answer) for answer in ("York", "New York", "York", "New York")),  # a tie: the first by letter
    *(("dev", "colour", "blue") for _ in range(9)),  # do not count
    ("test", "colour", "red"),
    ("test", "colour", "blue"),
    ("test", "town", "New York"),
    ("test", "town", "York"),
    ("test", "town", "new york"),
    ("test", "river", "red"),  # a relation that train lacks
)


def of_test(found: pd.Series) -> list[bool]:
    """The values of the test facts, in their order."""
    return list(found[ANSWERS.loc[ANSWERS["split"] == "test", "fact_id"]])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("substring", [True, False, True, True, True, False]),
        ("case_sensitive", [True, False, True, True, False, False]),
        ("exact", [True, False, True, False, True, False]),
    ],
)
def test_the_majority_answer_by_hand(rule, expected):
    assert list(majority_right(ANSWERS, rule, "first")) == expected


def test_the_majority_answer_counts_answers_that_look_equal_together_and_is_right_by_any_that_counts():
    rows = [("train", "town", text) for text in ("York", "York", "New\u00a0York", "New York", "New  York")]
    facts = facts_of(*rows, ("test", "town", "NYC"))
    facts.at[5, "answers"] = ["NYC", "New York"]
    for found in (majority_right, lambda *given: frequent_golds(*given, 0.6)[facts["fact_id"][5:]]):
        assert list(found(facts, "exact", "first")) == [False]
        assert list(found(facts, "exact", "any")) == [True]


def test_the_majority_answer_does_not_depend_on_the_order_of_facts():
    turned = majority_right(ANSWERS[::-1], "exact", "first").sort_index()
    assert turned.equals(majority_right(ANSWERS, "exact", "first").sort_index())


def test_the_train_answers_of_a_relation_the_most_frequent_first():
    found = train_answers(ANSWERS, "first")
    assert list(found.itertuples(index=False, name=None)) == [
        ("colour", "red", 2, 0.5),
        ("colour", "blue", 1, 0.25),
        ("colour", "green", 1, 0.25),
        ("town", "New York", 2, 0.5),
        ("town", "York", 2, 0.5),
    ]


@pytest.mark.parametrize(
    ("rule", "share", "expected"),
    [
        ("exact", 0.5, [True, False, True, True, True, False]),
        ("exact", 0.51, [False] * 6),
        ("exact", 0.01, [True, False, True, True, True, False]),  # one fact alone is too few, whatever its share
        ("case_sensitive", 0.5, [True, False, True, True, False, False]),  # York is right within New York, not new york
    ],
)
def test_a_gold_is_frequent_from_a_share_of_the_train_facts_on(rule, share, expected):
    assert of_test(frequent_golds(ANSWERS, rule, "first", share)) == expected


def test_the_gold_of_every_fact_is_frequent_or_rare_in_the_order_of_the_facts():
    found = frequent_golds(ANSWERS, "exact", "first", 0.5)
    assert list(found.index) == list(ANSWERS["fact_id"]) and found.dtype == bool
    assert list(found)[:8] == [True, False, True, False, True, True, True, True]


def test_one_fact_in_twenty_is_frequent_and_one_in_twenty_one_is_not():
    for others, expected in ((38, True), (39, False)):
        rows = [("train", "r", "x")] * 2 + [("train", "r", f"y{i}") for i in range(others)]
        assert frequent_golds(facts_of(*rows), "exact", "first", 0.05).iloc[0] == expected


def test_a_train_fact_without_a_visible_answer_counts_among_the_facts_and_its_gold_is_rare():
    facts = facts_of(("train", "r", "x"), ("train", "r", "x"), ("train", "r", "\u200b"), ("test", "r", "x"))
    assert train_answers(facts, "first")["share"].tolist() == [pytest.approx(2 / 3)]
    assert list(frequent_golds(facts, "substring", "first", 0.6)) == [True, True, False, True]
    assert not frequent_golds(facts, "substring", "first", 0.7).any()


def test_without_train_facts_nothing_is_frequent():
    facts = facts_of(("test", "r", "x"), ("test", "s", "y"))
    assert list(majority_right(facts, "substring", "first")) == [False, False]
    assert list(frequent_golds(facts, "substring", "first", 0.05)) == [False, False]
    assert list(majority_said(pd.Series({facts["fact_id"][0]: "x"}), facts, "substring", "first")) == [False]


def test_an_answer_is_the_majority_answer_by_the_scoring_rule_whether_it_is_right_or_not():
    test = ANSWERS.loc[ANSWERS["split"] == "test", "fact_id"].tolist()
    said = pd.Series(dict(zip(test, ["Red.", "it is red", "York", "New York", "", "red"], strict=True)))
    assert list(majority_said(said, ANSWERS, "substring", "first")) == [True, True, False, True, False, False]
    assert list(majority_said(said, ANSWERS, "exact", "first")) == [True, False, False, True, False, False]
    assert list(majority_said(said[::-1], ANSWERS, "exact", "first").loc[test]) == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]
