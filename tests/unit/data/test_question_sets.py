"""The questions that a state can be asked, by name."""

import pytest

from gradual.data.question_sets import QUESTION_SETS, questions
from tiny import facts


def test_the_question_sets_are_the_splits_that_are_not_for_pretraining_text_alone():
    assert list(QUESTION_SETS) == ["train", "dev", "test"]


@pytest.mark.parametrize("name", QUESTION_SETS)
def test_a_split_is_asked_by_its_own_facts(name):
    table = facts()
    assert questions(table, [name]).equals(table[table["split"] == name])


def test_several_sets_are_asked_in_the_order_of_the_facts_table():
    table = facts().sample(frac=1, random_state=0, ignore_index=True)
    asked = questions(table, ["test", "dev"])
    assert asked.equals(table[table["split"].isin(["dev", "test"])])
