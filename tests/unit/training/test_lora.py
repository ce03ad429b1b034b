import shutil

import pandas as pd
import pytest

from gradual.ground.errors import EndedWithNotice, InputError
from gradual.models.adapters import copy_adapter
from gradual.models.loading import load_model, load_tokenizer
from gradual.training import lora
from gradual.training.batches import IGNORED, Example, join, tokenize
from gradual.training.checkpoints import checkpoints, steps
from gradual.training.lora import attach_adapter, examples, train_adapter
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


def test_joined_rows_train_the_same_adapter_up_to_rounding(handle, tmp_path, monkeypatch):
    padded, losses = train(handle, tmp_path / "padded", dropout=0.0)
    monkeypatch.setattr("gradual.training.lora.collate", lambda rows, padding, config: join(rows))
    joined, same_losses = train(handle, tmp_path / "joined", dropout=0.0)
    assert [entry["loss"] for entry in same_losses] == pytest.approx([entry["loss"] for entry in losses], abs=1e-5)
    one, other = weights(padded[-1]), weights(joined[-1])
    assert max(abs(one[name] - other[name]).max() for name in one) < 1e-5


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
