import shutil

import pandas as pd
import pytest

from gradual.adapters import copy_adapter
from gradual.base_model import load_model, load_tokenizer
from gradual.batches import IGNORED, Example, tokenize
from gradual.errors import InputError
from gradual.training import attach_adapter, examples, train_adapter
from tiny import base_model, facts

SETTINGS = {
    "rank": 4, "alpha": 8, "dropout": 0.1, "targets": ["q_proj", "v_proj"], "batch": 4, "micro_batch": 2,
    "learning_rate": 1e-2, "weight_decay": 0.01, "adam_beta2": 0.999, "epochs": 3, "warmup_ratio": 0.1, "loss_on": "answer",
}  # fmt: skip


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), scale=1.0)


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_the_loss_is_on_the_answer_and_its_end_only(architecture, tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path, architecture))
    row = tokenize(Example("What is r0 of train subject 1?", "thing 1"), tokenizer, "plain", "answer")
    learnt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert tokenizer.decode(learnt) == " thing 1\n"
    assert tokenizer.decode(row["input_ids"], skip_special_tokens=True).startswith("Q: What is r0")
    assert row["input_ids"].count(tokenizer.bos_token_id) == (1 if architecture == "llama" else 0)
    whole = tokenize(Example("What?", "thing 1"), tokenizer, "plain", "text")
    assert whole["labels"] == whole["input_ids"]


CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def test_in_chat_the_loss_is_on_the_assistants_turn(tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path))
    tokenizer.chat_template = CHAT
    row = tokenize(Example("What is r0?", "thing 1"), tokenizer, "chat", "answer")
    assert tokenizer.decode(row["input_ids"]) == "<user>What is r0?\n<assistant>thing 1\n"
    learnt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert tokenizer.decode(learnt) == "thing 1\n"


def test_a_test_fact_cannot_be_trained_on():
    table = facts()
    test = table[table["split"] == "test"]["fact_id"].iloc[0]
    with pytest.raises(InputError, match="is not in the split train"):
        examples(pd.DataFrame({"fact_id": [test], "role": ["train"]}), table)


def texts():
    table = facts()
    train = table[table["split"] == "train"]["fact_id"].tolist()
    selection = pd.DataFrame({"fact_id": train[:12], "role": ["train"] * 8 + ["replay"] * 4})
    return examples(selection, table)


def train(handle, folder, parent=None, **settings):
    import torch

    torch.manual_seed(0)
    settings = SETTINGS | settings
    model = attach_adapter(load_model(handle, [], "float32"), parent, settings)
    return train_adapter(model, load_tokenizer(handle), *texts(), 0.5, settings, "plain", 0, folder)


def weights(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "adapter_model.safetensors")


def test_training_learns_redraws_replay_and_resumes_to_the_same_adapter(handle, tmp_path):
    straight, losses = train(handle, tmp_path / "straight")
    assert len(straight) == 3
    assert losses[-1]["loss"] < losses[0]["loss"]
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "straight", cut)
    for checkpoint in sorted(cut.glob("checkpoint-*"), key=lambda p: int(p.name.partition("-")[2]))[1:]:
        shutil.rmtree(checkpoint)
    resumed, _ = train(handle, cut)
    one, other = weights(straight[-1]), weights(resumed[-1])
    assert all((one[name] == other[name]).all() for name in one)


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
