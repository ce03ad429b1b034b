"""KGR, ACC, KRR, the kinds of answers and the transfer between stages, on small frames that are counted by hand."""

import numpy as np
import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.knowledge import retention
from gradual.knowledge.stages import Stage

GROUPS = pd.DataFrame(
    [
        ("a", "", "revised"),
        ("b", "", "kept"),
        ("c", "", "unrelated"),
        ("d", "places", "own"),
        ("e", "places", "own"),
        ("f", "lives", "own"),
        ("d", "lives", "conflicting"),
    ],
    columns=["fact_id", "domain", "role"],
)
REVISIONS = pd.DataFrame(
    [("a", 0), ("a", 1), ("a", 3), ("b", 0), ("c", 0), ("d", 0), ("d", 1), ("e", 0), ("f", 0)],
    columns=["fact_id", "revision"],
)
DOMAINS = (Stage(("own",), "places", 0), Stage(("own", "conflicting"), "lives", 1))


def series(**values: int) -> pd.Series:
    return pd.Series(values)


def right(text: str) -> pd.Series:
    """Right and wrong answers to facts in wording 0, from ones and zeros."""
    index = pd.MultiIndex.from_product([range(len(text)), [0]], names=["fact_id", "wording"])
    return pd.Series([letter == "1" for letter in text], index=index)


# Which facts


def test_facts_of_stages_of_domains():
    assert [list(retention.trained(GROUPS, DOMAINS[:n])) for n in (0, 1, 2)] == [[], ["d", "e"], ["d", "f"]]
    assert [list(retention.retained(GROUPS, DOMAINS[:n])) for n in (0, 1, 2)] == [[], [], ["e"]]
    assert list(retention.own(GROUPS, DOMAINS)) == ["f"] and list(retention.conflicting(GROUPS, DOMAINS)) == ["d"]
    assert list(retention.unrelated(GROUPS, DOMAINS)) == ["c"]


def test_facts_of_stages_without_domains():
    stages = (Stage(("revised", "kept"), "", 0), Stage(("revised",), "", 1))
    assert list(retention.trained(GROUPS, stages[:1])) == ["a", "b"] and list(retention.trained(GROUPS, stages)) == [
        "a"
    ]
    assert list(retention.retained(GROUPS, stages)) == ["b"]


@pytest.mark.parametrize(("revision", "valid"), [(0, 0), (1, 1), (2, 1), (3, 3), (None, 3)])
def test_a_fact_keeps_its_answer_where_it_has_no_revision(revision, valid):
    stages = (Stage(("revised", "kept"), "", 0), Stage(("revised",), "", revision))
    found = retention.valid_revisions(GROUPS, REVISIONS, stages)
    assert found.to_dict() == {"a": valid, "b": 0, "c": 0, "d": 0, "e": 0, "f": 0}


def test_what_is_valid_after_a_domain_that_conflicts():
    assert set(retention.valid_revisions(GROUPS, REVISIONS, DOMAINS[:1])) == {0}
    found = retention.valid_revisions(GROUPS, REVISIONS, DOMAINS)
    assert found.to_dict() == {"a": 0, "b": 0, "c": 0, "d": 1, "e": 0, "f": 0}


def test_own_facts_have_revision_0_also_in_a_stage_of_another_revision():
    later = (Stage(("own",), "places", 1),)
    assert retention.valid_revisions(GROUPS, REVISIONS, later)["d"] == 0


# Which answer

GRADES = pd.DataFrame(
    [
        ("a", 0, 0, False),  # says another answer
        ("a", 0, 1, False),
        ("a", 3, 0, True),  # says both
        ("a", 3, 1, True),
        ("b", 0, 0, True),  # has only one
        ("b", 3, 0, False),
        ("d", 0, 0, True),
        ("d", 0, 1, False),
        ("d", 3, 0, False),
        ("d", 3, 1, True),
    ],
    columns=["fact_id", "wording", "revision", "right"],
)


def test_right_by_the_revision_of_each_fact():
    graded = retention.by_revision(GRADES)
    found = retention.right_by(graded, series(a=1, b=0, d=1))
    assert found.to_dict() == {
        ("a", 0): False,
        ("a", 3): True,
        ("b", 0): True,
        ("b", 3): False,
        ("d", 0): False,
        ("d", 3): True,
    }
    assert found.dtype == bool


@pytest.mark.parametrize("revisions", [series(a=1, b=1, d=1), series(a=1, d=1), series(a=1, b=5, d=1)])
def test_an_answer_that_is_not_graded_by_what_is_valid_is_refused(revisions):
    with pytest.raises(InputError, match="the answer to fact b in wording 0 is not graded") as error:
        retention.right_by(retention.by_revision(GRADES), revisions)
    assert error.value.key == "revision"


def test_the_kind_of_each_answer():
    rows = [("a", w, r, r == said) for w, said in enumerate((3, 2, 0, 1, 9)) for r in (0, 1, 2, 3)]
    rows += [("b", 0, r, r in (0, 2)) for r in (0, 1, 2, 3)]
    graded = retention.by_revision(pd.DataFrame(rows, columns=list(GRADES)))
    found = retention.answer_kinds(graded, series(a=3, b=3), series(a=2, b=2))
    assert list(found) == ["new", "previous", "original", "other", "other", "previous"]
    before = retention.answer_kinds(graded, series(a=1, b=1), series(a=0, b=0))  # the previous one is the original one
    assert list(before) == ["other", "other", "previous", "new", "other", "previous"]


# Metrics


def test_gained_and_kept_have_their_denominators():
    before, after = right("0000110"), right("1100101")
    gained, kept = retention.gained(before, after), retention.kept(before, after)
    assert (int(gained.sum()), len(gained)) == (3, 5) and (int(kept.sum()), len(kept)) == (1, 2)


def test_nothing_to_gain_and_nothing_to_keep():
    assert len(retention.gained(right("11"), right("10"))) == 0 == len(retention.kept(right("00"), right("11")))


@pytest.mark.parametrize("metric", [retention.gained, retention.kept])
def test_answers_to_other_questions_are_refused(metric):
    with pytest.raises(InputError, match="two states answer different questions"):
        metric(right("01"), right("011"))


MATRIX = np.array([[0.9, 0.1, 0.0], [0.6, 0.8, 0.3], [0.4, 0.5, 0.7]])


def test_transfer_between_stages():
    assert retention.average_accuracy(MATRIX) == pytest.approx((0.4 + 0.5 + 0.7) / 3)
    assert retention.backward_transfer(MATRIX) == pytest.approx(((0.4 - 0.9) + (0.5 - 0.8)) / 2)
    assert retention.forward_transfer(MATRIX, np.array([0.2, 0.05, 0.1])) == pytest.approx(((0.1 - 0.05) + 0.2) / 2)


def test_a_stage_without_facts_is_left_out():
    some = MATRIX.copy()
    some[:, 1] = np.nan
    assert retention.average_accuracy(some) == pytest.approx((0.4 + 0.7) / 2)
    assert retention.backward_transfer(some) == pytest.approx(0.4 - 0.9)
    assert retention.forward_transfer(some, np.zeros(3)) == pytest.approx(0.3)
    assert np.isnan(retention.backward_transfer(np.full((2, 2), np.nan)))
    assert np.isnan(retention.forward_transfer(MATRIX[:1, :1], np.zeros(1)))
