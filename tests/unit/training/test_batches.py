import random

import pytest

from gradual.ground.errors import InputError
from gradual.models.loading import load_model, load_tokenizer
from gradual.training.batches import BLANK, EpochBatches, micro_rows, pad
from gradual.training.replay import epoch_order
from gradual.training.texts import IGNORED, tokenize
from tiny import base_model, facts


@pytest.mark.parametrize(
    ("batch", "micro_batch", "rows"), [(32, 32, (32, 16, 8)), (32, 4, (4, 4, 4)), (4, 9, (4, 2, 1))]
)
def test_one_config_works_on_one_two_and_four_ranks(batch, micro_batch, rows):
    assert tuple(micro_rows(batch, micro_batch, ranks) for ranks in (1, 2, 4)) == rows


def test_a_batch_that_the_ranks_cannot_share_is_an_error():
    with pytest.raises(
        InputError, match="a global batch of 32 cannot be shared by 3 ranks; .*multiple of the job's GPUs"
    ):
        micro_rows(32, 4, 3)
    with pytest.raises(InputError, match="the 6 rows of a batch of 12 on each of 2 ranks are no multiple of 4"):
        micro_rows(12, 4, 2)


def epoch(ranks, rows, epoch_number, trained=30, pool=8):
    """What each rank takes of an epoch of 30 selected and 5 replayed facts."""
    all_batches = [EpochBatches(trained, pool, 0.6, 1, rows, rank, ranks) for rank in range(ranks)]
    for batches in all_batches:
        batches.set_epoch(epoch_number)
        assert len(list(batches)) == len(batches)
    return [list(batches) for batches in all_batches]


@pytest.mark.parametrize(("ranks", "rows"), [(1, 8), (1, 2), (2, 4), (2, 1), (4, 2), (4, 1)])
def test_a_steps_facts_are_the_same_on_any_number_of_ranks(ranks, rows):
    taken = epoch(ranks, rows, 3)
    rounds = 8 // (ranks * rows)
    steps = [
        sorted(row for of_rank in taken for batch in of_rank[at : at + rounds] for row in batch if row < 38)
        for at in range(0, len(taken[0]), rounds)
    ]
    order = epoch_order(30, 8, 0.6, 3, 1)
    assert steps == [sorted(order[at : at + 8]) for at in range(0, 35, 8)]
    assert len({len(of_rank) for of_rank in taken}) == 1  # else a rank would wait for ever


def test_a_rank_that_is_left_without_rows_has_the_blank_one():
    assert [of_rank[-1] for of_rank in epoch(4, 2, 0)[2:]] == [[38], [38]]


def test_epochs_redraw_the_replayed_facts():
    first, second = (sorted(row for batch in epoch(1, 8, number)[0] for row in batch) for number in (0, 1))
    assert first[:30] == second[:30] == list(range(30)) and first[30:] != second[30:]


def test_padding_has_no_attention_and_no_loss():
    batch = pad([{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}, {"input_ids": [4], "labels": [4]}])
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[1, 2, 3], [4, IGNORED, IGNORED]]


def loss_and_gradients(model, *batches):
    """The loss over the tokens of all batches together, and the gradient of each weight."""
    model.zero_grad()
    tokens = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
    losses = [model(**batch, num_items_in_batch=tokens).loss for batch in batches]
    sum(losses).backward()
    return float(sum(losses).detach()), {name: p.grad.clone() for name, p in model.named_parameters()}


def apart(one, other):
    """The largest difference of two losses and their gradients."""
    return max(abs(one[0] - other[0]), *(float((one[1][name] - other[1][name]).abs().max()) for name in one[1]))


@pytest.mark.parametrize("loss_on", ["answer", "text"])
@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_padded_and_single_rows_have_one_loss_and_one_gradient(architecture, loss_on, tmp_path):
    handle = base_model(tmp_path, architecture, scale=2.0)
    model, tokenizer = load_model(handle, [], "float32"), load_tokenizer(handle)
    table = facts()
    asked = [
        (f"Q: {question}\nA:", f" {answers[0]}{' and more' * (i % 3)}\n")
        for i, (question, answers) in enumerate(zip(table["question"], table["answers"], strict=True))
    ]
    rows = [tokenize(*text, tokenizer, "plain", loss_on) for text in random.Random(0).sample(asked, 6)]
    assert len({len(row["input_ids"]) for row in rows}) > 2
    single = loss_and_gradients(model, *(pad([row]) for row in rows))
    assert apart(single, loss_and_gradients(model, pad(rows))) < 1e-5
    padded = pad(rows)
    padded["input_ids"] = padded["input_ids"].where(padded["attention_mask"] == 1, 7)
    assert apart(single, loss_and_gradients(model, padded)) < 1e-5  # whatever token is the padding
    assert apart(single, loss_and_gradients(model, pad(rows[:2]), pad(rows[2:]), pad([BLANK]))) < 1e-5
    seen = padded | {"attention_mask": None}
    seen["labels"] = seen["labels"].where(seen["labels"] != IGNORED, seen["input_ids"])
    assert apart(single, loss_and_gradients(model, seen)) > 1e-3  # with a loss on padding: the bound above can fail
