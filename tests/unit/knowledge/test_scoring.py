import pandas as pd
import pytest

from gradual.knowledge.scoring import RULES, count_right, grade, normalise


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
