"""Base models in memory, by their handles, and what is said of broken ones."""

import json
import os
import shutil
import time

import pytest

from damage import contents, copy_of, cut, edit_json, edit_weights, halve
from gradual.ground.errors import InputError
from gradual.ground.files import digest
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
    "a layer too many": (
        lambda f: edit_json(f / "config.json", "layer_types", num_hidden_layers=1),
        "has no place for 12 weights",
    ),
    "a bias too many": (
        lambda f: edit_weights(
            f / WEIGHTS, lambda ts: ts | {"model.layers.0.mlp.up_proj.bias": ts["model.norm.weight"].clone()}
        ),
        "key 'model.layers.0.mlp.up_proj.bias': has no place for 1 weights",
    ),
    "the biases of another architecture": (
        lambda f: edit_json(f / "config.json", model_type="llama"),
        "has no place for 6 weights",
    ),
    "an output of its own": (lambda f: edit_json(f / "config.json", tie_word_embeddings=False), "lacks 1 weights"),
    "fewer tokens": (lambda f: edit_json(f / "config.json", vocab_size=302), "cannot be loaded"),
    "no type of a value": (lambda f: edit_json(f / "config.json", rms_norm_eps=None), "'rms_norm_eps' expected float"),
    "an activation that there is not": (lambda f: edit_json(f / "config.json", hidden_act="none"), "cannot be loaded"),
    "code of its own": (
        lambda f: edit_json(f / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config"}),
        "cannot be loaded",
    ),
    "an encoder and a decoder": (
        lambda f: edit_json(f / "config.json", model_type="t5"),
        "cannot be loaded, because transformers has no causal language model of the type t5; expected a decoder",
    ),
    "unknown architecture": (lambda f: edit_json(f / "config.json", model_type="none"), "cannot be loaded"),
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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "name", ["model.norm.weight", "model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight"]
)
def test_weights_that_are_not_finite_are_named(name, dtype, value, handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")

    def change(tensors):
        tensors[name].view(-1)[-3] = value
        return tensors

    edit_weights(folder / WEIGHTS, change)
    write_handle(folder / "base.json", folder, "test")
    with pytest.raises(InputError, match="has weights that are not finite") as caught:
        load_model(folder / "base.json", [], dtype)
    assert (caught.value.file, caught.value.key) == (str(folder), name)


def test_weights_that_the_type_cannot_hold_are_named(handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")
    edit_weights(folder / WEIGHTS, lambda ts: ts | {"model.norm.weight": ts["model.norm.weight"] * 1e5})
    write_handle(folder / "base.json", folder, "test")
    assert load_model(folder / "base.json", [], "bfloat16")
    with pytest.raises(InputError, match=r"expected finite weights, in torch.float16 too \(models.<name>.dtype\)"):
        load_model(folder / "base.json", [], "float16")


def test_an_output_that_differs_from_the_embedding_that_it_is_tied_to_is_named(handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")
    edit_weights(folder / WEIGHTS, lambda ts: ts | {"lm_head.weight": ts["model.embed_tokens.weight"] + 1})
    write_handle(folder / "base.json", folder, "test")
    with pytest.raises(InputError, match="is true, but the weights of the output differ") as caught:
        load_model(folder / "base.json", [], "float32")
    assert (caught.value.file, caught.value.key) == (str(folder / "config.json"), "tie_word_embeddings")


def buffers(tensors):
    """The buffers that the first folders of Llama and of Qwen2 have besides."""
    import torch

    return tensors | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(16) for i in (0, 1)}


# What real folders have besides, and what changes nothing.
ALLOWED = {
    "old buffers": lambda f: edit_weights(f / WEIGHTS, buffers),
    "the tied output": lambda f: edit_weights(
        f / WEIGHTS, lambda ts: ts | {"lm_head.weight": ts["model.embed_tokens.weight"].clone()}
    ),
    "the format of another's weights": lambda f: (f / "consolidated.00.safetensors").write_text("x"),
    "a broken generation config": lambda f: (f / "generation_config.json").write_text("{"),
    "a generation config": lambda f: (f / "generation_config.json").write_text(
        '{"repetition_penalty": 2.0, "do_sample": true, "no_repeat_ngram_size": 2}'
    ),
    "code that is not needed": lambda f: edit_json(f / "config.json", auto_map={"AutoModelForCausalLM": "own.Model"}),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED)
def test_what_changes_no_weight_is_allowed_and_the_decoding_is_the_studys(change, handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")
    change(folder)
    write_handle(folder / "base.json", folder, "test")
    loaded, model = load_model(folder / "base.json", [], "float32"), load_model(handle, [], "float32")
    assert {n: t.tolist() for n, t in loaded.state_dict().items()} == {
        n: t.tolist() for n, t in model.state_dict().items()
    }
    assert {*loaded.generation_config.to_diff_dict()} <= {"transformers_version"}


# Changes of a model since its handle was written, and the file that the error names.
CHANGES = {
    "a bit of the weights": (lambda f: flip(f / WEIGHTS), WEIGHTS, "is not as it was"),
    "more weights": (lambda f: edit_weights(f / WEIGHTS, buffers), WEIGHTS, "is not as it was"),
    "another template": (lambda f: replace(f / "chat_template.jinja", "y"), "chat_template.jinja", "is not as it was"),
    "weights with an older date": (lambda f: replace(f / WEIGHTS, None), WEIGHTS, "is not as it was"),
    "a further template": (
        lambda f: [(f / "additional_chat_templates").mkdir(), replace(f / "additional_chat_templates/t.jinja", "y")],
        "additional_chat_templates/t.jinja",
        "was not there when the model was fetched",
    ),
    "an adapter": (lambda f: replace(f / "adapter_config.json", "{}"), "adapter_config.json", "was not there"),
    "further tokens": (lambda f: replace(f / "added_tokens.json", "{}"), "added_tokens.json", "was not there"),
    "an index": (
        lambda f: replace(f / "model.safetensors.index.json", "{}"),
        "model.safetensors.index.json",
        "was not",
    ),
}


def flip(path):
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def replace(path, text):
    """Put another file there, with a date from before, as `cp -a` does."""
    content = path.read_bytes() if text is None else b""
    path.unlink(missing_ok=True)
    path.write_bytes(content[:-10] + bytes(reversed(content[-10:])) if text is None else text.encode())
    os.utime(path, (0, 0))


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(("change", "file", "words"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("load", [load_tokenizer, lambda handle: load_model(handle, [], "float32")])
def test_a_model_that_has_changed_since_it_was_fetched_is_refused(load, change, file, words, inside, handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")
    (folder / "chat_template.jinja").write_text("x")
    (folder / "base.json").unlink()
    written = (folder if inside else tmp_path) / "base.json"
    write_handle(written, folder, "test")
    assert load(written)
    change(folder)
    with pytest.raises(InputError, match=words) as caught:
        load(written)
    assert caught.value.file == str((folder / file) if inside else folder.resolve() / file)


def test_another_folder_in_the_place_of_the_model_is_refused(handle, tmp_path):
    """Its files are older than the handle, and as large."""
    for name in ("model", "other"):
        copy_of(handle.parent, tmp_path / name)
        (tmp_path / name / "base.json").unlink()
    flip(tmp_path / "other" / WEIGHTS)
    time.sleep(0.05)
    write_handle(tmp_path / "base.json", tmp_path / "model", "test")
    time.sleep(0.05)
    (tmp_path / "model").rename(tmp_path / "before")
    (tmp_path / "other").rename(tmp_path / "model")
    with pytest.raises(InputError, match="is not as it was"):
        model_folder(tmp_path / "base.json")


def test_digests_are_made_only_of_what_may_have_changed(handle, tmp_path, monkeypatch):
    folder = copy_of(handle.parent, tmp_path / "model")
    (folder / "base.json").unlink()
    time.sleep(0.05)  # the clock of files is coarse
    write_handle(tmp_path / "base.json", folder, "test")
    made = []
    monkeypatch.setattr("gradual.models.handle.digest", lambda file: made.append(file.name) or digest(file))
    model_folder(tmp_path / "base.json")
    assert made == []
    time.sleep(0.05)
    (folder / WEIGHTS).touch()
    for _ in range(2):
        model_folder(tmp_path / "base.json")
    assert made == [WEIGHTS]  # once for each state of the file
    edit_json(tmp_path / "base.json", path="moved")
    time.sleep(0.05)
    shutil.copytree(folder, tmp_path / "moved", copy_function=shutil.copy)  # as a copy of the project
    assert model_folder(tmp_path / "base.json") == tmp_path / "moved"
    assert len(made) == 1 + len(json.loads((tmp_path / "base.json").read_text())["sha256"])


def test_the_handle_of_a_model_is_the_same_after_a_copy(handle, tmp_path):
    shutil.copytree(handle.parent, tmp_path / "copy", copy_function=shutil.copy)
    write_handle(tmp_path / "copy" / "base.json", tmp_path / "copy", "test")
    assert (tmp_path / "copy" / "base.json").read_bytes() == handle.read_bytes()


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
    "handle without sizes": (lambda f: edit_json(f / "base.json", "size"), "base.json", "size", "is missing"),
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
