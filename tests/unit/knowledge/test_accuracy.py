import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.knowledge.accuracy import accuracy_by_epoch, check_adapter_effect, grade_epochs
from gradual.knowledge.epoch_choice import choose_epoch
from tiny import facts


def generations(texts_by_epoch):
    table = facts()
    asked = table[table["split"].isin(["dev", "test"])]
    rows = [
        {"epoch": epoch, "fact_id": fact.fact_id, "text": say(fact), "count": 1}
        for epoch, say in texts_by_epoch.items()
        for fact in asked.itertuples(index=False)
    ]
    return pd.DataFrame(rows)


def right(fact):
    return f"It is {fact.answers[0]}"


def right_on(split):
    return lambda fact: right(fact) if fact.split == split else "wrong"


def test_accuracy_by_epoch_and_split():
    accuracy = accuracy_by_epoch(
        grade_epochs(generations({1: right_on("dev"), 2: right}), facts(), "first"), "substring"
    )
    found = accuracy.set_index(["epoch", "split"])
    assert found["accuracy"].to_dict() == {(1, "dev"): 1, (1, "test"): 0, (2, "dev"): 1, (2, "test"): 1}
    assert found["n"].tolist() == [16] * 4
    assert found["accuracy_exact"].max() == 0
    # "It is thing 3" has four tokens, two of which are those of "thing 3".
    assert found["token_f1"].to_dict() == pytest.approx(
        {(1, "dev"): 2 / 3, (1, "test"): 0, (2, "dev"): 2 / 3, (2, "test"): 2 / 3}
    )


def test_the_epoch_is_chosen_on_the_named_split_and_the_earliest_of_equals():
    accuracy = accuracy_by_epoch(
        grade_epochs(generations({1: right_on("dev"), 2: right, 3: right}), facts(), "first"), "substring"
    )
    assert choose_epoch(accuracy, "dev") == 1
    assert choose_epoch(accuracy, "test") == 2
    with pytest.raises(InputError, match="no epoch was evaluated on 'support'"):
        choose_epoch(accuracy, "support")


def test_answers_equal_to_the_parents_are_an_error():
    parent = generations({0: right})
    check_adapter_effect(generations({1: right_on("test")}), parent, "stage1")
    with pytest.raises(InputError, match="run stage1, epoch 2: all 32 answers equal"):
        check_adapter_effect(generations({1: right_on("test"), 2: right}), parent, "stage1")
