"""What the vLLM engine decides without vLLM; what it answers is tested in tests/contract."""

import json

import pytest

from gradual.ground.errors import InputError, out_of_memory
from gradual.models.handle import write_handle
from gradual.models.loading import load_tokenizer
from gradual.probe.answers import Decoding, Deployment, Prompt
from gradual.probe.engines.tokenization import Encoder
from gradual.probe.engines.vllm import Limits, _plain_dtype, _positions, first_seed
from tiny import base_model


def test_no_two_prompts_share_the_seed_of_a_sample():
    decoding = Decoding(4, (), samples=16, seed=7)
    first = [first_seed(decoding, Prompt(f"f{i}", j, "")) for i in range(500) for j in range(10)]
    every = {seed + sample for seed in first for sample in range(16)}
    assert len(every) == 16 * len(first)
    assert min(every) >= 0 and max(every) < 2**63
    assert all(seed % 16 == 0 for seed in first)
    assert first_seed(Decoding(4, (), samples=16, seed=8), Prompt("f0", 0, "")) != first[0]


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("model"))


def configured(handle, **values):
    file = handle.parent / "config.json"
    config = json.loads(file.read_text()) | values
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    write_handle(handle, handle.parent, "test")
    return handle


def test_the_type_auto_is_the_configs(handle):
    assert _plain_dtype(handle, "bfloat16") == "bfloat16"
    assert _plain_dtype(configured(handle, dtype="float32"), "auto") == "float32"
    assert _plain_dtype(configured(handle, dtype=None, torch_dtype="float16"), "auto") == "float16"
    with pytest.raises(InputError, match="config.json, key 'dtype': names no type"):
        _plain_dtype(configured(handle, torch_dtype=None), "auto")


def test_a_deployment_can_shorten_what_the_models_positions_reach_and_not_lengthen_it(handle):
    assert _positions(handle, Deployment()) == (1024, "the model's")
    assert _positions(handle, Deployment(max_model_length=512)) == (512, "max_model_length's")
    assert _positions(handle, Deployment(max_model_length=4096)) == (1024, "the model's")
    long, limit = [Prompt("f", 0, "Q: What?\n" * 9)], _positions(handle, Deployment(max_model_length=16))
    with pytest.raises(InputError, match="expected at most max_model_length's 16 "):
        Encoder(load_tokenizer(handle), True)(long, Decoding(4, ()), *limit)


@pytest.mark.parametrize("family", ["gpt2", "gemma3_text", "mistral"])
def test_lengths_are_read_under_the_names_of_every_architecture(family, tmp_path):
    handle = base_model(tmp_path, family)
    (kept, _), file = _positions(handle, Deployment()), handle.parent / "config.json"
    config = json.loads(file.read_text())
    assert kept == config.get("max_position_embeddings", config.get("n_positions"))
    assert _plain_dtype(handle, "auto") == "float32"


def test_the_length_of_a_text_model_within_another_is_read(tmp_path):
    handle = base_model(tmp_path, "gemma3_text")
    text = json.loads((tmp_path / "config.json").read_text())
    nested = {"model_type": "gemma3", "text_config": text, "dtype": "float32"}
    (tmp_path / "config.json").write_text(json.dumps(nested))
    write_handle(handle, tmp_path, "test")
    assert _positions(handle, Deployment()) == (text["max_position_embeddings"], "the model's")
    assert _plain_dtype(handle, "auto") == "float32"


def test_a_config_of_an_unknown_architecture_is_refused(tmp_path):
    with pytest.raises(InputError, match="a config of transformers"):
        _positions(configured(base_model(tmp_path), model_type="nonsense"), Deployment())


def test_limits_shrink_as_the_error_demands():
    limits = Limits(0.9, 256, 16384)
    gone = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    short = ValueError("No available memory for the cache blocks. Try increasing `gpu_memory_utilization`")
    assert limits.smaller(gone) == Limits(pytest.approx(0.81), 128, 8192)
    assert limits.smaller(short) == Limits(0.9, 128, 8192)
    assert out_of_memory(gone) and out_of_memory(short)
    assert not out_of_memory(ValueError("the model has no memory of this fact"))
