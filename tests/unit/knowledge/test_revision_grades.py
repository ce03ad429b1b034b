"""Grades of an answer against every revision of its fact."""

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.knowledge.revision_grades import check_answers_changed, grade_revisions

FACTS = pd.DataFrame({"fact_id": ["a", "b"]})
REVISIONS = pd.DataFrame(
    [("a", 0, "Paris"), ("a", 1, "Rome"), ("a", 2, "Bern"), ("b", 0, "Oslo")],
    columns=["fact_id", "revision", "answer"],
)


def said(*rows):
    return pd.DataFrame(rows, columns=["wording", "fact_id", "text"])


def test_an_answer_is_right_by_the_revisions_that_it_contains():
    given = said((0, "a", "in rome"), (3, "a", "Rome or Bern"), (0, "b", "Oslo "))
    graded = grade_revisions(given, FACTS, REVISIONS, "substring")
    found = {(f, w, r) for f, w, r, right in graded[["fact_id", "wording", "revision", "right"]].to_numpy() if right}
    assert found == {("a", 0, 1), ("a", 3, 1), ("a", 3, 2), ("b", 0, 0)}
    assert list(graded["fact_id"]) == ["a"] * 6 + ["b"]  # a fact that is not revised has one row a wording
    assert list(graded["revision"]) == [0, 1, 2, 0, 1, 2, 0]


def test_the_scoring_rule_counts():
    graded = grade_revisions(said((0, "a", "in Rome")), FACTS, REVISIONS, "exact")
    assert not graded["right"].any()


def test_other_facts_are_refused():
    with pytest.raises(InputError, match="fact c is not in the facts table"):
        grade_revisions(said((0, "c", "x")), FACTS, REVISIONS, "substring")
    with pytest.raises(InputError, match="revisions, key 'fact_id': fact b has none"):
        grade_revisions(said((0, "b", "x")), FACTS, REVISIONS[REVISIONS["fact_id"] == "a"], "substring")


def test_an_adapter_that_changes_no_answer_is_refused():
    before, order = said((0, "a", "x"), (3, "a", "y")), said((3, "a", "y"), (0, "a", "x"))
    check_answers_changed(said((0, "a", "x"), (3, "a", "z")), before, "cit2")
    with pytest.raises(InputError, match="run cit2: all 2 answers equal those of its parent"):
        check_answers_changed(order, before, "cit2")
