import math

import pandas as pd
import pytest

from gradual.grading import OF_BEGINNINGS, RULES, count_right, grade, normalise


@pytest.mark.parametrize(
    ("output", "answer", "right"),
    [
        ("Paris", "Paris", {"substring", "case_sensitive", "word_boundary", "exact"}),
        ("paris", "Paris", {"substring", "word_boundary", "exact"}),
        ("It is Paris, France.", "Paris", {"substring", "case_sensitive", "word_boundary"}),
        ("The Paris.", "paris", {"substring", "word_boundary", "exact"}),
        ("Parisian", "Paris", {"substring", "case_sensitive"}),
        ("Lyon", "Paris", set()),
        ("", "Paris", set()),
        ("STRASSE", "straße", {"substring", "word_boundary", "exact"}),
        ("a C++ compiler", "C++", {"substring", "case_sensitive", "word_boundary"}),
        ("the beatles", "Beatles", {"substring", "word_boundary", "exact"}),
        ("Zoë Kravitz", "Zoë", {"substring", "case_sensitive", "word_boundary"}),
        ("2010s", "2010", {"substring", "case_sensitive"}),
    ],
)
def test_scoring_rules(output, answer, right):
    assert {name for name, rule in RULES.items() if rule(output, answer)} == right


def test_normalisation_drops_case_articles_punctuation_and_spaces():
    assert normalise("  The  U.S.A., an end ") == "usa end"


def test_likelihoods_count_as_the_draws_expected_of_them():
    """Under rules by which all that begins with the answer is right; under the others they say nothing."""
    generations = pd.DataFrame(
        {
            "fact_id": ["f", "f", "f"],
            "prompt_index": [0, 0, 1],
            "kind": ["greedy", "likelihood", "likelihood"],
            "text": ["Rome", "Paris", "Paris"],
            "count": [1, 16, 16],
            "probability": [None, 0.25, 0.0],
        }
    )
    graded = grade(generations, pd.Series({"f": "Paris"}))
    counts = count_right(graded).set_index(["kind", "prompt_index"])
    for rule in RULES:
        begins = RULES[rule]("Parisian", "Paris")
        assert (rule in OF_BEGINNINGS) == begins
        expected = [16 * 0.25, 0.0] if begins else [math.nan, math.nan]
        assert counts.loc["likelihood", rule].tolist() == pytest.approx(expected, nan_ok=True)
        assert counts.loc[("greedy", 0), rule] == 0
    assert counts["n"].tolist() == [1, 16, 16]


def test_grade_keeps_rows_and_counts_weigh_samples():
    generations = pd.DataFrame(
        {
            "fact_id": ["f", "f", "f", "g"],
            "prompt_index": [0, 0, 0, 0],
            "kind": ["greedy", "sampled", "sampled", "greedy"],
            "text": ["Paris", "paris", "Rome", "Rome"],
            "count": [1, 5, 11, 1],
        },
        index=[9, 3, 7, 1],
    )
    graded = grade(generations, pd.Series({"f": "Paris", "g": "Paris"}))
    assert list(graded.index) == [9, 3, 7, 1]
    assert graded["substring"].tolist() == [True, True, False, False]
    counts = count_right(graded).set_index(["fact_id", "kind"])
    assert counts.loc[("f", "sampled"), ["n", "substring", "case_sensitive"]].tolist() == [16, 5, 0]
    assert counts.loc[("g", "greedy"), ["n", "exact"]].tolist() == [1, 0]
