"""The weights of the stages in a composed state: queries of questions, keys of stages, and the softmax over them."""

import math

import numpy as np
import pytest

from gradual.ground.errors import InputError
from gradual.models.loading import load_model, load_tokenizer
from gradual.training.stage_matching import ROWS, queries, stage_weights
from tiny import base_model, facts

QUESTIONS = [*facts()["question"], "Who?"]  # more than are computed together


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def loaded(request, tmp_path_factory):
    handle = base_model(tmp_path_factory.mktemp("base"), request.param)
    return load_model(handle, [], "float32"), load_tokenizer(handle)


def test_a_query_is_the_normalised_mean_of_the_last_hidden_states_over_the_questions_own_tokens(loaded):
    import torch

    model, tokenizer = loaded
    found = queries(model, tokenizer, QUESTIONS)
    assert found.shape == (len(QUESTIONS), 64) and len(QUESTIONS) > ROWS and found.dtype == np.float64
    for question, query in zip(QUESTIONS, found, strict=True):
        plain = tokenizer(question, add_special_tokens=False)["input_ids"]
        ids = tokenizer(question)["input_ids"]
        assert ids[len(ids) - len(plain) :] == plain
        with torch.no_grad():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -len(plain) :]
        mean = states.double().mean(0)
        np.testing.assert_allclose(query, (mean / mean.norm()).numpy(), atol=1e-5)


def test_a_token_that_the_tokenizer_puts_before_a_text_is_read_and_does_not_count(loaded):
    model, tokenizer = loaded
    begins = tokenizer("Who?")["input_ids"] != tokenizer("Who?", add_special_tokens=False)["input_ids"]
    assert begins == (model.config.model_type == "llama")


def test_hidden_states_that_are_not_finite_are_an_error(loaded):
    import torch

    model, tokenizer = loaded
    weight = model.base_model.norm.weight
    kept = weight.data
    weight.data = torch.full_like(kept, float("nan"))
    try:
        with pytest.raises(InputError, match="hidden states that are not finite; expected another models.<name>.dtype"):
            queries(model, tokenizer, QUESTIONS[:2])
    finally:
        weight.data = kept


def test_weights_against_a_hand_computed_example():
    """Two stages. The key of the second is the mean of its two queries, (0.8, 0.4), as a unit vector: (0.894, 0.447)."""
    first, second = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.6, 0.8]])
    key = (1.6 / math.sqrt(3.2), 0.8 / math.sqrt(3.2))
    shares = []
    for x, y in second:
        mine, other = math.exp(8 * (x * key[0] + y * key[1])), math.exp(8 * x)
        shares.append(other / (mine + other))
    weights = stage_weights({"stage1": first, "mocl2": second}, 8)
    assert weights == pytest.approx({"stage1": sum(shares) / 2, "mocl2": 1 - sum(shares) / 2}, abs=1e-6)
    assert weights["stage1"] == pytest.approx((0.6994 + 0.0866) / 2, abs=1e-4)
    assert list(weights) == ["stage1", "mocl2"]


def test_a_mean_of_normalised_queries_is_the_key_whatever_its_length():
    """Queries that point in all directions make a short mean, which is as good a key as a long one."""
    spread, narrow = np.array([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0]]), np.array([[1.0, 0.0]])
    assert stage_weights({"a": spread, "b": narrow}, 8) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize("sharpness", [0.5, 8, 100])
def test_stages_with_the_same_questions_have_the_same_weight(sharpness):
    rows = np.array([[1.0, 0.0], [0.6, 0.8]])
    assert stage_weights(dict.fromkeys("abcd", rows), sharpness) == dict.fromkeys("abcd", 0.25)


def test_a_sharper_softmax_prefers_the_nearest_stage_more():
    near, far = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    found = [stage_weights({"far": far, "near": near}, sharpness)["near"] for sharpness in (1, 8, 100)]
    assert found == [pytest.approx(1 / (1 + math.exp(-s)), rel=1e-5) for s in (1, 8, 100)]


def test_only_the_last_stages_questions_are_asked():
    near, far = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert stage_weights({"near": near, "far": far}, 8) == {"near": 0.00033535, "far": 0.999665}
