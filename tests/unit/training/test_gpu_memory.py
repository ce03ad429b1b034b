"""The memory estimate against what is measured: torch's profiler tells every allocation of a CPU training step."""

from dataclasses import asdict, replace

import pytest

from gradual.models.shape import shape_of
from gradual.training.gpu_memory import Estimate, estimate, needs_checkpointing
from gradual.training.preference import Preference, row_of
from gradual.training.settings import PreferenceSettings
from gradual.training.texts import IGNORED
from tiny import TARGETS, TRAINING

SETTINGS, FEW = replace(TRAINING, rank=8), ("q_proj", "v_proj")
ROWS, TOKENS = 8, 64
GIB = 2**30
QWEN2_7B = {
    "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False,
}  # fmt: skip
LLAMA3_8B = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip


def small_model(architecture, dtype, checkpointing, targets=TARGETS):
    """A model with an adapter, and its config."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    kinds = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}
    config_class, model_class = kinds[architecture]
    torch.manual_seed(0)
    config = config_class(
        vocab_size=2000, hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=False, use_cache=False,
    )  # fmt: skip
    model = model_class(config).to(getattr(torch, dtype))
    if checkpointing:
        model.activation_checkpointing_enable()
    lora = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=8, lora_dropout=0.0, target_modules=list(targets))
    return get_peft_model(model, lora).train(), config.to_dict()


def step(model, dtype):
    """A forward and backward pass of a padded micro batch, as on a GPU under autocast where the model is in bf16."""
    import torch

    ids = torch.arange(ROWS * TOKENS).remainder(2000).reshape(ROWS, TOKENS)
    mask = torch.ones_like(ids)
    mask[0, -3:] = 0
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        loss = model(input_ids=ids, attention_mask=mask, labels=ids, num_items_in_batch=ids.numel()).loss
    loss.backward()


def peak(model, dtype):
    """The largest number of bytes that a step holds beside the weights."""
    from torch.profiler import ProfilerActivity, profile

    step(model, dtype)  # what is allocated once
    model.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        step(model, dtype)
    events = [event for event in measured.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("architecture", "targets"), [("qwen2", TARGETS), ("llama", TARGETS), ("qwen2", FEW)])
def test_the_estimate_is_within_five_percent_of_a_steps_peak(architecture, targets, dtype, checkpointing):
    model, config = small_model(architecture, dtype, checkpointing, targets)
    settings, shape = replace(SETTINGS, targets=targets), shape_of(config)
    said = estimate(shape, settings, ROWS, TOKENS, dtype, 1, checkpointing)
    gradients = 4 * shape.adapter_parameters(settings.rank, settings.targets)
    assert said.activations + said.logits + gradients == pytest.approx(peak(model, dtype), rel=0.05)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_with_samples_takes_as_much_as_one_with_such_long_rows(dtype, monkeypatch):
    """A row has its prompt once. Only its answers' logits have a softmax, so that it takes up to a sixth less."""
    import torch

    own = PreferenceSettings(alpha=1.0, beta=0.2, bound="npo", b=1.0, target=True)
    eighth = TOKENS // 8
    told = {"weight": 0.5, "reference": -1.0}
    texts = [
        {"input_ids": [*range(4 * eighth + 1), *range(kind, eighth + kind)], **told, "kind": kind}
        | {"labels": [IGNORED] * (4 * eighth + 1) + [*range(eighth)]}
        for kind in (0, 1, 2, 2)
    ]
    rows = [row_of(texts[0], texts[1:]) for _ in range(ROWS)]
    assert len(rows[0]["input_ids"]) == TOKENS + 1

    def preferring(model, dtype):
        objective = Preference(asdict(own))
        batch = objective.pad(rows)
        objective.begin([batch], lambda tensor: tensor)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            objective.loss(model, batch, torch.tensor(ROWS * eighth))[0].backward()

    monkeypatch.setitem(globals(), "step", preferring)
    model, config = small_model("qwen2", dtype, False)
    shape = shape_of(config)
    said = estimate(shape, SETTINGS, ROWS, TOKENS, dtype, 1, False)
    gradients = 4 * shape.adapter_parameters(SETTINGS.rank, SETTINGS.targets)
    taken = peak(model, dtype)
    assert 0.98 * taken < said.activations + said.logits + gradients < 1.2 * taken


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_weights_adapter_and_optimizer_are_counted_exactly(architecture):
    import torch

    model, config = small_model(architecture, "bfloat16", False)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    step(model, "bfloat16")
    optimizer.step()
    states = [value for state in optimizer.state.values() for value in state.values() if value.dim()]
    held = sum(t.nbytes for t in (*trained, *(p.grad for p in trained), *states))
    said = estimate(shape_of(config), SETTINGS, ROWS, TOKENS, "bfloat16", 1, False)
    assert said.adapter == held
    assert said.weights == sum(p.nbytes for p in model.parameters() if not p.requires_grad)


def test_the_sizes_are_those_of_the_published_models():
    assert shape_of(QWEN2_7B).parameters == 7_615_616_512
    assert shape_of(LLAMA3_8B).parameters == 8_030_261_248


def test_several_ranks_hold_their_gradients_twice():
    one, four = (estimate(shape_of(QWEN2_7B), SETTINGS, 1, 32, "bfloat16", ranks, False) for ranks in (1, 4))
    assert four.total - one.total == 4 * shape_of(QWEN2_7B).adapter_parameters(SETTINGS.rank, TARGETS)


def test_checkpointing_is_for_what_does_not_fit_without():
    settings = replace(SETTINGS, rank=64)
    assert not needs_checkpointing(QWEN2_7B, settings, 8, 32, "bfloat16", 4, 80 * GIB)
    assert needs_checkpointing(QWEN2_7B, settings, 32, 512, "bfloat16", 4, 80 * GIB)
    assert needs_checkpointing(QWEN2_7B, settings, 8, 32, "bfloat16", 4, 24 * GIB)
    assert not needs_checkpointing({"model_type": "gpt_neox"}, settings, 32, 512, "bfloat16", 4, 80 * GIB)


def test_an_estimate_is_the_sum_of_its_parts():
    assert Estimate(weights=1, adapter=2, activations=3, logits=4, context=5).total == 15
