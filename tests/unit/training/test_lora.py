import shutil
from dataclasses import replace

import pytest

from gradual.ground.errors import EndedWithNotice, InputError
from gradual.models.adapters import copy_adapter
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.prompts import prompt_format
from gradual.training import lora
from gradual.training.checkpoints import checkpoints, steps
from gradual.training.examples import build_examples
from gradual.training.lora import Training, attach_adapter, train_adapter
from gradual.training.texts import texts, tokenize
from tiny import TRAINING, base_model, facts

SETTINGS = replace(TRAINING, dropout=0.1, targets=("q_proj", "v_proj"))


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), scale=1.0)


def rows(handle):
    """The tokens of 8 examples to train on, and of 4 to replay."""
    table = facts()
    chosen = table[table["split"] == "train"][["fact_id"]].head(12).assign(role=["train"] * 8 + ["replay"] * 4)
    tokenizer = load_tokenizer(handle)
    written = texts(build_examples(chosen, table), prompt_format("plain", {}, tokenizer))
    return [tokenize(*text, tokenizer, "plain", "answer") for text in written]


def train(handle, folder, parent=None, **settings):
    import torch

    torch.manual_seed(0)
    settings = replace(SETTINGS, **settings)
    model = attach_adapter(load_model(handle, [], "float32"), parent, settings)
    return train_adapter(model, Training(rows(handle), 8, 0.5, settings, seed=0, folder=folder))


def weights(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "adapter_model.safetensors")


def equal(one, other):
    """Whether two adapters are the same to the bit."""
    one, other = weights(one), weights(other)
    return all((one[name] == other[name]).all() for name in one)


def test_training_learns_redraws_replay_and_resumes_to_the_same_adapter(handle, tmp_path):
    straight, losses = train(handle, tmp_path / "straight")
    assert len(straight) == 3
    assert losses[-1]["loss"] < losses[0]["loss"]
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "straight", cut)
    for checkpoint in sorted(cut.glob("checkpoint-*"), key=lambda p: int(p.name.partition("-")[2]))[1:]:
        shutil.rmtree(checkpoint)
    resumed, _ = train(handle, cut)
    assert equal(straight[-1], resumed[-1])


def test_within_an_epoch_the_newest_checkpoint_is_kept_and_resumes_to_the_same_adapter(handle, tmp_path, monkeypatch):
    straight, _ = train(handle, tmp_path / "straight")
    monkeypatch.setattr("gradual.training.checkpoints.STEPS_BETWEEN", 2)
    saved = []
    monkeypatch.setattr(
        "gradual.training.checkpoints.any_rank", lambda flag, device: saved.append(flag) or len(saved) == 5
    )
    with pytest.raises(EndedWithNotice, match=r"after step 5 of 9; continues when started again"):
        train(handle, tmp_path / "ended")
    assert [steps(checkpoint) for checkpoint in checkpoints(tmp_path / "ended")] == [3, 5]
    resumed, losses = train(handle, tmp_path / "ended")
    assert [steps(checkpoint) for checkpoint in resumed] == [3, 6, 9]
    assert [entry["step"] for entry in losses] == list(range(1, 10))
    assert equal(straight[-1], resumed[-1])


def test_a_training_that_was_killed_when_it_had_done_all_steps_is_whole(handle, tmp_path):
    straight, losses = train(handle, tmp_path)
    shutil.copytree(straight[0], tmp_path / "checkpoint-4")  # what was killed before it removed this
    assert train(handle, tmp_path) == (straight, losses)


def test_notice_at_the_last_step_comes_too_late_to_end_a_training(handle, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "gradual.training.checkpoints.any_rank", lambda flag, device: asked.append(flag) or len(asked) == 9
    )
    assert len(train(handle, tmp_path)[0]) == 3


def test_gradient_checkpointing_gives_the_same_adapter(handle, tmp_path, monkeypatch):
    straight, _ = train(handle, tmp_path / "straight", dropout=0.0)
    monkeypatch.setattr("gradual.training.lora._exceeds_memory", lambda *_: True)
    made, make = [], lora._trainer
    monkeypatch.setattr(lora, "_trainer", lambda *arguments: made.append(make(*arguments)) or made[0])
    assert equal(straight[-1], train(handle, tmp_path / "checkpointing", dropout=0.0)[0][-1])
    assert sum(getattr(module, "gradient_checkpointing", False) for module in made[0].model.modules()) > 1


def test_a_run_can_continue_its_parents_adapter(handle, tmp_path):
    checkpoints, _ = train(handle, tmp_path / "parent", epochs=1)
    copy_adapter(checkpoints[0], tmp_path / "adapter")
    children, _ = train(handle, tmp_path / "child", parent=tmp_path / "adapter", epochs=1, learning_rate=1e-4)
    parent, child = weights(tmp_path / "adapter"), weights(children[0])
    fresh, _ = train(handle, tmp_path / "fresh", epochs=1, learning_rate=1e-4)
    distance = sum(abs(parent[n] - child[n]).sum() for n in parent)
    assert 0 < distance < sum(abs(parent[n] - weights(fresh[0])[n]).sum() for n in parent)


def test_an_adapter_that_does_not_change_is_an_error(handle, tmp_path):
    with pytest.raises(InputError, match="the adapter has not changed"):
        train(handle, tmp_path / "idle", learning_rate=0.0, weight_decay=0.0)


def test_a_loss_that_is_not_finite_is_an_error(handle, tmp_path):
    message = r"the (loss|grad_norm) is (nan|inf) at step \d of 9; expected a finite one"
    with pytest.raises(InputError, match=message) as caught:
        train(handle, tmp_path / "wild", learning_rate=1e30)
    assert (caught.value.file, caught.value.key) == ("training", "learning_rate")


SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
LINEAR = {
    "Qwen2": ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"),
    "Llama": ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"),
    "Phi3": ("down_proj", "gate_up_proj", "o_proj", "qkv_proj"),
    "GPT2": ("c_attn", "c_fc", "c_proj"),
}


def fresh(architecture):
    """A small model with random weights."""
    import transformers

    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99} if architecture == "GPT2" else SIZES
    config = getattr(transformers, f"{architecture}Config")(**sizes, pad_token_id=None, tie_word_embeddings=True)
    return transformers.AutoModelForCausalLM.from_config(config)


def trained_modules(model):
    return {name.split(".lora_")[0] for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(("architecture", "names"), LINEAR.items(), ids=LINEAR)
def test_all_linear_trains_every_linear_module_of_the_layers(architecture, names):
    modules = trained_modules(attach_adapter(fresh(architecture), None, replace(TRAINING, targets=("all-linear",))))
    assert {name.rpartition(".")[2] for name in modules} == {*names}
    per_layer = len(names) + (architecture == "GPT2")  # c_proj is in attention and in the MLP
    assert len(modules) == 2 * per_layer


@pytest.mark.parametrize(("architecture", "names"), LINEAR.items(), ids=LINEAR)
@pytest.mark.parametrize("absent", ["lm_head", "none", "proj", "input_layernorm"])
def test_a_target_that_the_model_does_not_have_is_named_with_those_that_it_has(absent, architecture, names):
    """peft would train the others without a word."""
    model = fresh(architecture)
    with pytest.raises(InputError, match=f"the model has no linear module {absent}; expected") as caught:
        attach_adapter(model, None, replace(TRAINING, targets=(names[0], absent)))
    assert (caught.value.file, caught.value.key) == ("training", "targets")
    assert f"({', '.join(names)}) or all-linear" in str(caught.value)
    assert not hasattr(model, "peft_config")


def test_the_targets_of_llama_are_not_those_of_phi():
    with pytest.raises(InputError, match="no linear module gate_proj, k_proj, q_proj, up_proj, v_proj; expected"):
        attach_adapter(fresh("Phi3"), None, TRAINING)
