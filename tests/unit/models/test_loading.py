"""Base models in memory, by their handles, and what is said of broken ones."""

import json
import shutil

import pytest

from damage import contents, copy_of, cut, edit_json, edit_weights, halve
from gradual.ground.errors import InputError
from gradual.models.handle import model_folder, write_handle
from gradual.models.loading import load_model, load_tokenizer
from tiny import base_model

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_a_handle_leads_to_the_model_and_names_its_digests(architecture, tmp_path):
    handle = base_model(tmp_path / "model", architecture)
    assert json.loads(handle.read_text())["sha256"].keys() >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert load_model(handle, [], "float32").config.model_type == architecture
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "model", moved)
    assert model_folder(moved / "base.json") == moved / "."


# What is noticed when the model is loaded only.
UNLOADABLE = {
    "a weight too few": (
        lambda f: edit_weights(f / WEIGHTS, lambda ts: dict(sorted(ts.items())[1:])),
        "lacks 2 weights",
    ),
    "a layer too few": (lambda f: edit_json(f / "config.json", "layer_types", num_hidden_layers=3), "lacks 12 weights"),
    "another width": (lambda f: edit_json(f / "config.json", hidden_size=128), "cannot be loaded"),
    "unknown architecture": (lambda f: edit_json(f / "config.json", model_type="none"), "cannot be loaded"),
    "a shard too few": (
        lambda f: [
            (f / WEIGHTS).rename(f / "model-00001-of-00002.safetensors"),
            (f / "model.safetensors.index.json").write_text(
                '{"metadata": {}, "weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}'
            ),
        ],
        "cannot be loaded",
    ),
}


@pytest.mark.parametrize(("breakage", "words"), UNLOADABLE.values(), ids=UNLOADABLE)
def test_weights_that_do_not_fit_their_config_are_a_clear_error(breakage, words, handle, tmp_path):
    """transformers alone would fill what is missing with random numbers, and only warn."""
    folder = copy_of(handle.parent, tmp_path / "model")
    breakage(folder)
    write_handle(tmp_path / "base.json", folder, "test")
    with pytest.raises(InputError, match=words) as caught:
        load_model(tmp_path / "base.json", [], "float32")
    assert caught.value.file == str(folder)


def names(folder, *files):
    edit_json(folder / "base.json", sha256=dict.fromkeys(files, ""))


# What breaks a handle or what it names, the file and the key that the error names, and its words.
HANDLES = {
    "no handle": (lambda f: (f / "base.json").unlink(), "base.json", None, "expected the handle of a base model"),
    "empty handle": (lambda f: cut(f / "base.json"), "base.json", None, "cannot be read"),
    "handle cut short": (lambda f: halve(f / "base.json"), "base.json", None, "cannot be read"),
    "handle that is no text": (lambda f: (f / "base.json").write_bytes(b"\xff\xfe"), "base.json", None, "in JSON"),
    "handle that is a folder": (
        lambda f: [(f / "base.json").unlink(), (f / "base.json").mkdir()],
        "base.json",
        None,
        "cannot be read",
    ),
    "handle that is a list": (lambda f: (f / "base.json").write_text("[]"), "base.json", "path", "the key is missing"),
    "handle without path": (lambda f: edit_json(f / "base.json", "path"), "base.json", "path", "as fetch_base and"),
    "handle without digests": (lambda f: edit_json(f / "base.json", "sha256"), "base.json", "sha256", "is missing"),
    "handle of a path in numbers": (lambda f: edit_json(f / "base.json", path=3), "base.json", "path", "or broken"),
    "handle of a list of files": (lambda f: edit_json(f / "base.json", sha256=[]), "base.json", "sha256", "or broken"),
    "handle of no files": (lambda f: names(f), "", None, "has no config.json"),
    "handle of no weights": (
        lambda f: names(f, "config.json", "tokenizer.json"),
        "",
        None,
        "has no safetensors weights",
    ),
    "handle of no config": (lambda f: names(f, WEIGHTS, "tokenizer.json"), "", None, "has no config.json"),
    "handle of no tokenizer": (lambda f: names(f, WEIGHTS, "config.json"), "", None, "has no tokenizer.json"),
    "handle of a missing shard": (
        lambda f: names(f, "config.json", "tokenizer.json", WEIGHTS, "other.safetensors"),
        "other.safetensors",
        None,
        "is missing; expected the model's file that",
    ),
    "folder that is gone": (
        lambda f: edit_json(f / "base.json", path="gone"),
        "gone/config.json",
        None,
        "base.json names (restore it, or remove",
    ),
    "weights deleted since": (lambda f: (f / WEIGHTS).unlink(), WEIGHTS, None, "restore it, or remove"),
    "config deleted since": (lambda f: (f / "config.json").unlink(), "config.json", None, "to make the model again"),
    "tokenizer deleted since": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json", None, "is missing"),
    "weights cut short since": (lambda f: halve(f / WEIGHTS), WEIGHTS, None, "expected a whole safetensors file"),
    "config broken since": (lambda f: (f / "config.json").write_text("{"), "config.json", None, "in JSON"),
}


@pytest.mark.parametrize(("breakage", "file", "key", "words"), HANDLES.values(), ids=HANDLES)
@pytest.mark.parametrize("load", [load_tokenizer, lambda handle: load_model(handle, [], "float32")])
def test_a_broken_handle_or_model_is_a_clear_error(breakage, file, key, words, load, handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")
    breakage(folder)
    before = contents(folder)
    with pytest.raises(InputError) as caught:
        load(folder / "base.json")
    assert (caught.value.file, caught.value.key) == (str(folder / file), key)
    assert words in str(caught.value) and "; expected " in str(caught.value)
    assert contents(folder) == before
