"""The loss that a run trains with is the transformers Trainer's own, whatever the micro batches of a step."""

import pytest

from gradual.models.loading import load_tokenizer
from gradual.training.cross_entropy import CrossEntropy
from gradual.training.objectives import trainer_class
from gradual.training.texts import IGNORED, tokenize
from tiny import base_model, write_adapter
from trainer_steps import STEPS, losses_and_gradients, model_of

ANSWERS = ("thing", "thing 1 of train subject 2", "1", "What is r0", "of", "thing 3", "train", "thing 1 of 7")


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def trained(request, tmp_path_factory):
    """A base model's handle, and an adapter of it with gradients everywhere."""
    folder = tmp_path_factory.mktemp(request.param)
    handle = base_model(folder / "base", request.param, scale=2.0)
    return handle, write_adapter(handle, folder / "adapter")


@pytest.fixture(params=["answer", "text"])
def rows(request, trained):
    tokenizer = load_tokenizer(trained[0])
    made = [
        tokenize(f"Q: What is r{i}?\nA:", f" {a}\n", tokenizer, "plain", request.param) for i, a in enumerate(ANSWERS)
    ]
    assert len({len(row["input_ids"]) for row in made}) > 2
    return made


@pytest.mark.parametrize("micro_batch", [4, 2, 1])
def test_loss_and_gradients_are_those_of_the_trainers_own_loss(micro_batch, trained, rows, tmp_path):
    import torch
    from transformers import Trainer

    ours, own = (
        losses_and_gradients(kind, trained, rows, micro_batch, tmp_path)
        for kind in (trainer_class(CrossEntropy({})), Trainer)
    )
    assert ours[0] == own[0] and len(ours[1]) == len(own[1]) == STEPS
    for one, other in zip(ours[1], own[1], strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        assert all(gradient.abs().max() > 0 for gradient in one.values())


@pytest.mark.parametrize("micro_batch", [4, 2, 1])
def test_a_steps_loss_is_the_mean_over_the_tokens_with_loss_however_it_is_split(micro_batch, trained, rows, tmp_path):
    """By hand, row by row: a token counts the same in a long row and in a short one."""
    import torch
    import torch.nn.functional as F

    model, first = model_of(trained), rows[: len(rows) // STEPS]
    found, tokens = torch.zeros(()), 0
    for row in first:
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
        found = found + F.cross_entropy(logits[:-1], torch.tensor(row["labels"][1:]), reduction="sum")
        tokens += sum(label != IGNORED for label in row["labels"][1:])
    (found / tokens).backward()
    losses, gradients = losses_and_gradients(trainer_class(CrossEntropy({})), trained, rows, micro_batch, tmp_path)
    assert losses[0] == pytest.approx(float(found.detach()) / tokens, abs=1e-4)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert (gradients[0][name] - parameter.grad).abs().max() < 1e-5 * (1 + parameter.grad.abs().max())
