"""Which augmented questions a run trains on, and how its examples are repeated to the steps of another run."""

from math import inf, log

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.training.augment_settings import Keep
from gradual.training.augmented_selection import add_augmented, information, keep_rows
from gradual.training.examples import EXAMPLE_COLUMNS
from gradual.training.repeated_examples import repeat_examples, repeat_to_tokens

FACTS = [f"{i:016x}" for i in range(40)]


def own(n=40, replayed=3):
    roles = ["train"] * n + ["replay"] * replayed
    facts = FACTS[:n] + [f"{i:016x}" for i in range(100, 100 + replayed)]
    questions = [f"What is {fact[-3:]}?" for fact in facts]
    rows = {"fact_id": facts, "role": roles, "question": questions, "answer": [f"answer {fact[-3:]}" for fact in facts]}
    return pd.DataFrame(rows | {"source": "revision 1"})


def augmented(**changes):
    """A usable row for each of forty questions; `changes` replace columns."""
    asked = own(replayed=0)
    columns = {
        "fact_id": asked["fact_id"], "question": asked["question"], "way": "background", "made_by": "model",
        "written": [f"Word{i % 7} of {i % 3}." for i in range(40)], "augmented": "So. " + asked["question"],
        "parsed": True, "subject_kept": True, "old_inside": False, "new_inside": False, "tested": False,
        "agrees": pd.array([None] * 40, dtype="boolean"),
    }  # fmt: skip
    return pd.DataFrame(columns | changes)


def test_the_information_of_pairs_is_that_of_a_count_by_hand():
    """N = 3; N(a) = N(b) = 2, N(c) = 1; N(x) = N(y) = 2; N(a, x) = 2, and all other pairs of words come once."""
    found = information([("A b", "x"), ("a", "x, y!"), ("b c", "y")])
    first = (log(3 * 2 / (2 * 2)) + log(3 * 1 / (2 * 2))) / 2  # a with x, b with x
    second = (log(3 * 2 / (2 * 2)) + log(3 * 1 / (2 * 2))) / 2  # a with x, a with y
    third = (log(3 * 1 / (2 * 2)) + log(3 * 1 / (1 * 2))) / 2  # b with y, c with y
    assert found == pytest.approx([first, second, third])


def test_a_word_counts_once_in_a_text_and_a_text_without_words_has_no_information():
    assert information([("a a", "x X x"), ("b", "y")]) == pytest.approx([log(2), log(2)])
    assert information([("a", "..."), ("b", "y")]) == [-inf, pytest.approx(log(2))]


def test_unrelated_words_have_less_information_than_related_ones():
    """As printed, without the total count and with products of two numbers below zero, the order is the other one."""
    related = [("song one", "song"), ("song two", "song"), ("city three", "city"), ("city four", "city")]
    values = information([*related, ("song five", "city")])
    assert min(values[:4]) > values[4]


def test_only_usable_rows_are_kept_and_all_of_them_without_a_choice():
    rows = augmented(parsed=[i != 0 for i in range(40)], new_inside=[i == 1 for i in range(40)],
                     subject_kept=[i != 2 for i in range(40)], tested=[i == 3 for i in range(40)])  # fmt: skip
    assert keep_rows(rows, Keep(), 0)["fact_id"].tolist() == FACTS[4:]


def test_a_smaller_random_share_is_a_part_of_a_larger_one():
    kept = {share: keep_rows(augmented(), Keep(random=share), 0)["fact_id"].tolist() for share in (0.125, 0.25, 0.5)}
    assert [len(found) for found in kept.values()] == [5, 10, 20]
    assert set(kept[0.125]) < set(kept[0.25]) < set(kept[0.5])
    assert all(found == sorted(found) for found in kept.values())
    other = keep_rows(augmented(), Keep(random=0.5), 1)["fact_id"].tolist()
    assert 3 < len(set(other) & set(kept[0.5])) < 17
    turned = keep_rows(augmented()[::-1], Keep(random=0.5), 0)
    assert set(turned["fact_id"]) == set(kept[0.5])


def test_the_share_with_the_most_information_is_as_large_as_a_random_one():
    rows = augmented(
        written=[f"{'rare' if i < 20 else 'the'} {FACTS[i][-3:] if i < 20 else 'same'}." for i in range(40)]
    )
    kept = keep_rows(rows, Keep(information=0.5), 0)
    assert kept["fact_id"].tolist() == FACTS[:20]


def test_equal_information_is_decided_by_the_seed():
    rows = augmented(written="So.", question=["What?"] * 40)
    kept = [keep_rows(rows, Keep(information=0.5), seed)["fact_id"].tolist() for seed in (0, 0, 1)]
    assert kept[0] == kept[1] != kept[2] and [len(found) for found in kept] == [20] * 3


def test_agreement_keeps_a_part_of_the_share():
    agrees = pd.array([i % 2 == 0 for i in range(40)], dtype="boolean")
    rows = augmented(agrees=agrees)
    share = keep_rows(rows, Keep(information=0.5), 0)
    kept = keep_rows(rows, Keep(information=0.5, agreement=True), 0)
    assert kept["fact_id"].tolist() == [fact for fact in share["fact_id"] if FACTS.index(fact) % 2 == 0]
    assert keep_rows(rows, Keep(agreement=True), 0)["fact_id"].tolist() == FACTS[::2]


def test_augmented_rows_have_the_answers_of_their_questions_and_stand_before_the_replay_pool():
    rows = augmented(made_by=["model"] * 20 + ["templates"] * 20)
    examples = add_augmented(own(), rows)
    assert tuple(examples.columns) == EXAMPLE_COLUMNS
    assert examples["role"].tolist() == ["train"] * 80 + ["replay"] * 3
    assert examples.drop(index=range(40, 80)).reset_index(drop=True).equals(own())
    assert examples["answer"][40:80].tolist() == own()["answer"][:40].tolist()
    assert examples["question"][40] == "So. What is 000?"
    assert examples["source"][40:80].tolist() == ["background"] * 20 + ["background by templates"] * 20


def test_two_wordings_of_a_fact_keep_their_own_rows():
    twice = pd.concat([own(2, 0), own(2, 0).assign(question=["Other 0?", "Other 1?"], answer="other")])
    rows = augmented()[:1].assign(question="Other 0?")
    assert add_augmented(twice, rows)["answer"].tolist()[-1] == "other"


def test_a_run_without_augmented_rows_and_a_row_without_an_example_are_refused():
    with pytest.raises(InputError, match="no row may be trained on"):
        add_augmented(own(), augmented()[:0])
    with pytest.raises(InputError, match="which is no example"):
        add_augmented(own(3), augmented())


def test_examples_are_repeated_to_as_many_rows_each_as_often_as_any_other():
    found = repeat_examples(own(), 100, 0)
    train = found[found["role"] == "train"]
    counts = train["fact_id"].value_counts()
    assert len(train) == 100 and set(counts) == {2, 3} and (counts == 3).sum() == 20
    assert found["role"].tolist() == ["train"] * 100 + ["replay"] * 3
    assert train[:40].equals(own()[:40])
    assert not repeat_examples(own(), 100, 1).equals(found)
    assert repeat_examples(own(), 40, 0).equals(own())


def test_a_run_with_more_rows_than_the_other_is_refused():
    with pytest.raises(InputError, match="40 rows to train on, but the run that it has the steps of has 39") as caught:
        repeat_examples(own(), 39, 0)
    assert caught.value.key == "steps_of"


def test_examples_are_repeated_to_as_many_tokens_or_to_a_row_less():
    sizes = [3 + place % 5 for place in range(40)]  # 200 together
    found = repeat_to_tokens(own(), sizes, 530, 0)
    train = found[found["role"] == "train"]
    size = dict(zip(own()["fact_id"][:40], sizes, strict=True))
    tokens = train["fact_id"].map(size).sum()
    assert 530 - max(sizes) < tokens <= 530 and set(train["fact_id"].value_counts()) == {2, 3}
    assert found["role"].tolist() == ["train"] * len(train) + ["replay"] * 3
    more = set(train["fact_id"].value_counts().loc[lambda counts: counts == 3].index)
    as_rows = repeat_examples(own(), len(train), 0)
    assert more == set(as_rows[as_rows["role"] == "train"]["fact_id"].value_counts().loc[lambda n: n == 3].index)
    assert repeat_to_tokens(own(), sizes, 200, 0).equals(own())


def test_a_run_with_more_tokens_than_the_other_is_refused():
    with pytest.raises(
        InputError, match="120 tokens to train on, but the run that it has the tokens of has 119"
    ) as caught:
        repeat_to_tokens(own(), [3] * 40, 119, 0)
    assert caught.value.key == "tokens_of"
