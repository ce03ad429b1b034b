"""Base models that are pretrained here."""

import shutil
from dataclasses import replace

import pytest

from gradual.ground.errors import InputError
from gradual.training.pretraining import ModelSettings, PretrainingSettings, pack, pretrain, train_tokenizer

MODEL = ModelSettings(**{
    "architecture": "qwen2", "hidden_size": 32, "intermediate_size": 48, "layers": 1, "heads": 1, "key_value_heads": 1,
})  # fmt: skip
SETTINGS = PretrainingSettings(**{
    "vocabulary": 300, "row_tokens": 16, "batch_rows": 4, "learning_rate": 4e-3, "min_learning_rate_ratio": 0.05,
    "weight_decay": 0.05, "adam_beta2": 0.98, "warmup_steps": 2,
})  # fmt: skip
DOCUMENTS = [f"Almanac\nThe home of company {i} is city {i % 7}.\n" for i in range(60)]


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_rows_hold_the_documents_one_after_the_other(architecture):
    tokenizer = train_tokenizer(DOCUMENTS, 300, architecture)
    rows = pack(DOCUMENTS, tokenizer, 16)
    ids = [i for d in DOCUMENTS for i in [*tokenizer(d)["input_ids"], tokenizer.eos_token_id]]
    assert rows.shape == (len(ids) // 16, 16)
    assert rows.ravel().tolist() == ids[: rows.size]


def test_pretraining_is_deterministic_for_a_seed_and_learns(tmp_path):
    import torch

    one, _, log = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, tmp_path / "one")
    two, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, tmp_path / "two")
    other, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 4, tmp_path / "other")
    weights = [dict(model.named_parameters()) for model in (one, two, other)]
    assert all(torch.equal(p, weights[1][n]) for n, p in weights[0].items())
    assert not all(torch.equal(p, weights[2][n]) for n, p in weights[0].items())
    assert log[-1]["train_loss"] < 5.7  # log(300)


@pytest.mark.parametrize(
    ("settings", "words"), [({"learning_rate": 1e30}, "not finite"), ({"batch_rows": 10**6}, "rows of 16")]
)
def test_a_pretraining_that_cannot_work_is_a_clear_error(settings, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        pretrain(DOCUMENTS, MODEL, replace(SETTINGS, **settings), 3, tmp_path)
    assert caught.value.file == "pretraining" and caught.value.key in settings


def test_a_killed_pretraining_resumes_from_its_last_whole_checkpoint_to_the_same_model(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr("gradual.training.pretraining.SAVE_STEPS", 5)
    straight, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, tmp_path / "straight")
    killed = tmp_path / "killed"
    with monkeypatch.context() as patch:

        def kill(self, args, state, *_, **__):
            if state.global_step == 6:
                raise KeyboardInterrupt

        patch.setattr("transformers.TrainerCallback.on_step_begin", kill)
        with pytest.raises(KeyboardInterrupt):
            pretrain(DOCUMENTS, MODEL, SETTINGS, 3, killed)
    (checkpoint,) = killed.glob("checkpoint-*")
    shutil.copytree(checkpoint, killed / "checkpoint-7")
    (killed / "checkpoint-7" / "trainer_state.json").write_text("{")
    resumed, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, killed)
    assert not (killed / "checkpoint-7").exists()
    weights = dict(straight.named_parameters())
    assert all(torch.equal(p, weights[n]) for n, p in resumed.named_parameters())
