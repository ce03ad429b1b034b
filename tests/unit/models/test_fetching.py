"""Base models that others made, from a folder or from the hub, and what is said of folders that are none."""

import shutil

import pytest

from damage import copy_of, cut, halve, replace_by_text
from gradual.ground.errors import InputError
from gradual.models.fetching import fetch_base
from gradual.models.handle import model_folder
from tiny import base_model

WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"))


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


def test_a_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        fetch_base({"source": "folder", "path": str(tmp_path / "none")}, tmp_path / "base.json")


# What breaks a model folder, the file that the error names ("" for the folder itself), and its words.
BREAKAGES = {
    "no config": (lambda f: (f / "config.json").unlink(), "", "has no config.json; expected a model folder"),
    "config that is a folder": (
        lambda f: [(f / "config.json").unlink(), (f / "config.json").mkdir()],
        "",
        "has no config.json; expected a model folder",
    ),
    "empty config": (lambda f: cut(f / "config.json"), "config.json", "cannot be read"),
    "config cut short": (lambda f: halve(f / "config.json"), "config.json", "expected a model's file, in JSON"),
    "config that is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json", "is not a JSON object"),
    "broken settings of the tokenizer": (
        lambda f: cut(f / "tokenizer_config.json", 1),
        "tokenizer_config.json",
        "in JSON",
    ),
    "weights of an adapter": (lambda f: (f / WEIGHTS).rename(f / ADAPTER), "", "has no safetensors weights"),
    "config in another encoding": (
        lambda f: (f / "config.json").write_bytes(b'{"model_type": "\xff"}'),
        "config.json",
        "can't decode byte 0xff",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "", "has no tokenizer.json; expected a model folder"),
    "empty tokenizer": (lambda f: cut(f / "tokenizer.json"), "tokenizer.json", "expected a model's file, in JSON"),
    "tokenizer cut short": (lambda f: halve(f / "tokenizer.json"), "tokenizer.json", "cannot be read"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "", "has no safetensors weights; expected model.safetensors"),
    "pickled weights": (
        lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"),
        "",
        "pickled weights are not loaded",
    ),
    "empty weights": (lambda f: cut(f / WEIGHTS), WEIGHTS, "expected a whole safetensors file"),
    "weights cut in their header": (lambda f: cut(f / WEIGHTS, 1000), WEIGHTS, "cannot be read"),
    "weights cut in their values": (lambda f: halve(f / WEIGHTS), WEIGHTS, "not fully covered"),
    "weights with more at their end": (
        lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes() + b"more"),
        WEIGHTS,
        "expected a whole safetensors file",
    ),
    "no safetensors at all": (lambda f: (f / WEIGHTS).write_bytes(b"PK\x03\x04"), WEIGHTS, "cannot be read"),
    "weights that are a pointer to them": (lambda f: replace_by_text(f / WEIGHTS), WEIGHTS, "cannot be read"),
    "one of two weights cut short": (
        lambda f: [shutil.copy(f / WEIGHTS, f / "model-2.safetensors"), halve(f / "model-2.safetensors")],
        "model-2.safetensors",
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("breakage", "file", "words"), BREAKAGES.values(), ids=BREAKAGES)
def test_a_broken_model_folder_is_a_clear_error_and_leaves_no_handle(breakage, file, words, handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")
    (folder / "base.json").unlink()
    breakage(folder)
    with pytest.raises(InputError) as caught:
        fetch_base({"source": "folder", "path": str(folder)}, tmp_path / "out" / "base.json")
    assert caught.value.file == str(folder / file)
    assert words in str(caught.value) and "; expected " in str(caught.value)
    assert not (tmp_path / "out").exists()
