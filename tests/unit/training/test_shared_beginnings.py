"""Texts as one sequence: what is shared, and what each token belongs to. test_families has what models make of it."""

import pytest

from gradual.training.shared_beginnings import NONE, SHARED, attention_mask, joined
from gradual.training.texts import IGNORED

NO = IGNORED


def text(ids, labels):
    return {"input_ids": ids, "labels": labels}


def test_the_beginning_stands_once_and_each_rest_follows_it():
    row = joined([text([7, 8, 9, 1], [NO, NO, 9, 1]), text([7, 8, 5], [NO, NO, 5]), text([7, 8], [NO, NO])])
    assert row == {
        "input_ids": [7, 8, 9, 1, 5],
        "labels": [NO, NO, 9, 1, 5],
        "text": [SHARED, SHARED, 0, 0, 1],
        "positions": [0, 1, 2, 3, 2],
        "before": [NONE, 0, 1, 2, 1],
    }


@pytest.mark.parametrize(
    ("texts", "shared"),
    [
        ([text([7, 8], [NO, 8])], 1),  # of one text, all before its first label
        ([text([7, 8], [7, 8]), text([7, 8], [7, 8])], 0),  # each counts its labels
        ([text([7, 8, 9], [NO, NO, 9]), text([7, 6, 9], [NO, NO, 9])], 1),  # a prompt that is tokenized otherwise
        ([text([7, 8, 9], [NO, NO, 9]), text([7, 8, 9], [NO, 8, 9])], 1),  # a label of one alone
        ([text([7], [NO]), text([7], [NO])], 1),
    ],
)
def test_only_a_beginning_that_no_text_is_trained_on_is_shared(texts, shared):
    row = joined(texts)
    assert row["text"].count(SHARED) == shared
    assert len(row["input_ids"]) == shared + sum(len(one["input_ids"]) - shared for one in texts)
    assert sorted(label for label in row["labels"] if label != NO) == sorted(
        label for one in texts for label in one["labels"] if label != NO
    )


def test_a_text_sees_the_beginning_and_itself_and_nothing_later():
    import torch

    row = joined([text([7, 9, 1], [NO, 9, 1]), text([7, 5, 2], [NO, 5, 2])])
    seen = attention_mask(torch.tensor([row["text"]]))[0, 0] == 0
    assert seen.int().tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 1, 1]]
