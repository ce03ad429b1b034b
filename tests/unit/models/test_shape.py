"""The sizes that follow from a model's config, against models that transformers builds from it."""

import pytest

from gradual.models.folder import ARCHITECTURES
from gradual.models.shape import Shape, shape_of

SIZES = {
    "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 16,
}  # fmt: skip
LAYER = "model.layers.0."


def built(architecture, **changes):
    """A model of the architecture, without values, and its config as config.json has it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(architecture, **SIZES | changes)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config), config.to_dict()


CHANGES = {
    "grouped": {},
    "a key for each query": {"num_key_value_heads": 4},
    "one key for all": {"num_key_value_heads": 1},
    "deep": {"num_hidden_layers": 5},
}


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_parameters_are_those_of_the_model_that_transformers_builds(architecture, changes, tied):
    model, config = built(architecture, tie_word_embeddings=tied, **changes)
    shape = shape_of(config)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.tied == tied == (model.lm_head.weight is model.get_input_embeddings().weight)
    weights = dict(model.named_parameters())
    for name, (inputs, outputs) in shape.projections.items():
        [found] = [key for key in weights if key.startswith(LAYER) and key.endswith(f".{name}.weight")]
        assert tuple(weights[found].shape) == (outputs, inputs)


def test_heads_may_be_wider_than_their_share_of_the_hidden_size():
    model, config = built("llama", head_dim=16)
    assert (shape_of(config).queries, shape_of(config).keys) == (64, 32)
    assert shape_of(config).parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), ("o_proj", "down_proj", "up_proj"), ("k_proj", "gate_proj")])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_adapters_parameters_are_those_that_peft_puts_in(architecture, targets):
    import torch
    from peft import LoraConfig, get_peft_model

    model, config = built(architecture)
    with torch.device("meta"):
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=3, target_modules=list(targets)))
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert shape_of(config).adapter_parameters(3, targets) == trained


def test_a_config_that_says_less_means_what_transformers_takes_it_for():
    said = {key: value for key, value in SIZES.items() if key not in ("num_key_value_heads", "max_position_embeddings")}
    assert shape_of(said | {"model_type": "llama"}) == Shape("llama", 32, 48, 2, 4, 4, 8, 100, tied=False)
    model, config = built("llama", num_key_value_heads=None)
    assert shape_of(config).parameters == sum(p.numel() for p in model.parameters())
