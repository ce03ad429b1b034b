import json
import shutil

import pytest

from gradual.base_model import (
    check_adapter,
    fetch_base,
    load_model,
    load_tokenizer,
    model_folder,
    pack,
    pretrain,
    write_handle,
)
from gradual.errors import InputError
from tiny import base_model

MODEL = {
    "architecture": "qwen2", "hidden_size": 32, "intermediate_size": 48, "layers": 1, "heads": 1, "key_value_heads": 1,
}  # fmt: skip
SETTINGS = {
    "vocabulary": 300, "row_tokens": 16, "batch_rows": 4, "learning_rate": 4e-3, "min_learning_rate_ratio": 0.05,
    "weight_decay": 0.05, "adam_beta2": 0.98, "warmup_steps": 2,
}  # fmt: skip
DOCUMENTS = [f"Almanac\nThe home of company {i} is city {i % 7}.\n" for i in range(60)]


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"))


def test_rows_hold_the_documents_one_after_the_other(handle):
    tokenizer = load_tokenizer(handle)
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


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_a_handle_leads_to_the_model_and_names_its_digests(architecture, tmp_path):
    handle = base_model(tmp_path / "model", architecture)
    assert json.loads(handle.read_text())["sha256"].keys() >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert load_model(handle, [], "float32").config.model_type == architecture
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "model", moved)
    assert model_folder(moved / "base.json") == moved / "."


def test_a_local_folder_serves_as_base_model(handle, tmp_path):
    fetch_base({"source": "folder", "path": str(handle.parent)}, tmp_path / "base.json")
    assert model_folder(tmp_path / "base.json") == handle.parent.resolve()


def test_the_hub_is_asked_for_the_pinned_revision_and_safe_files_only(handle, tmp_path, monkeypatch):
    asked = {}

    def snapshot_download(repo, **options):
        asked.update(options, repo=repo)
        return str(handle.parent)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    fetch_base({"source": "hub", "repo": "some/model", "revision": "a" * 40}, tmp_path / "base.json")
    assert (asked["repo"], asked["revision"]) == ("some/model", "a" * 40)
    assert not any("bin" in pattern or "py" in pattern for pattern in asked["allow_patterns"])


def broken(handle, folder, breakage):
    shutil.copytree(handle.parent, folder)
    (folder / "base.json").unlink()
    breakage(folder)
    return folder


BREAKAGES = {
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "has no safetensors weights"),
    "pickled weights": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "pickled weights are not loaded",
    ),
    "truncated weights": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:1000]),
        "model.safetensors: cannot be read",
    ),
    "no safetensors at all": (lambda f: (f / "model.safetensors").write_bytes(b"PK\x03\x04"), "cannot be read"),
}


@pytest.mark.parametrize("case", BREAKAGES)
def test_a_broken_model_folder_is_a_clear_error_and_leaves_no_handle(case, handle, tmp_path):
    breakage, message = BREAKAGES[case]
    folder = broken(handle, tmp_path / "model", breakage)
    with pytest.raises(InputError, match=message):
        write_handle(tmp_path / "base.json", folder, "test")
    assert not (tmp_path / "base.json").exists()


def test_a_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        fetch_base({"source": "folder", "path": str(tmp_path / "none")}, tmp_path / "base.json")


def test_a_truncated_adapter_is_a_clear_error(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"short")
    with pytest.raises(InputError, match="cannot be read"):
        check_adapter(tmp_path)


def test_a_killed_pretraining_resumes_from_its_last_whole_checkpoint_to_the_same_model(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr("gradual.base_model.SAVE_STEPS", 5)
    straight, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, tmp_path / "straight")
    killed = tmp_path / "killed"
    with monkeypatch.context() as patch:

        def kill(*_, **__):
            raise KeyboardInterrupt

        patch.setattr("transformers.TrainerCallback.on_save", kill)
        with pytest.raises(KeyboardInterrupt):
            pretrain(DOCUMENTS, MODEL, SETTINGS, 3, killed)
    (checkpoint,) = killed.glob("checkpoint-*")
    shutil.copytree(checkpoint, killed / "checkpoint-7")
    (killed / "checkpoint-7" / "trainer_state.json").write_text("{")
    resumed, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, killed)
    assert not (killed / "checkpoint-7").exists()
    weights = dict(straight.named_parameters())
    assert all(torch.equal(p, weights[n]) for n, p in resumed.named_parameters())
