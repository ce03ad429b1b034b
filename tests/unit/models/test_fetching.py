"""Base models that others made, from a folder or from the hub, and what is said of folders that are none."""

import errno
import json
import os
import shutil
from functools import partial

import httpx2
import pytest
from huggingface_hub import constants, errors

from damage import copy_of, cut, edit_json, edit_weights, halve, replace_by_text
from gradual.ground.errors import InputError
from gradual.models.fetching import TOKENS, fetch_base
from gradual.models.folder import BLOCK, BLOCKS, content, model_files
from gradual.models.handle import model_folder
from gradual.models.loading import load_model
from gradual.workflow.starting import explanation
from tiny import base_model

WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"
INDEX = "model.safetensors.index.json"


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


def config(folder, removed=None, changed=None):
    edit_json(folder / "config.json", *([removed] if removed else []), **(changed or {}))


def index(folder, file, **others):
    """Write an index that says that all tensors are in one file, but for `others` (`norm` is one of the model)."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="numpy") as tensors:
        named = dict.fromkeys(tensors.keys(), file)
    named |= {"model.norm.weight" if name == "norm" else name: other for name, other in others.items()}
    (folder / INDEX).write_text(json.dumps({"weight_map": named}))


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
        "a GGUF file: gguf_file",
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
    # a folder that is more than a model, or less
    "an adapter beside the weights": (
        lambda f: [(f / "adapter_config.json").write_text("{}"), shutil.copy(f / WEIGHTS, f / ADAPTER)],
        "adapter_config.json",
        "is an adapter beside a model's weights",
    ),
    "an adapter's weights beside the weights": (
        lambda f: shutil.copy(f / WEIGHTS, f / ADAPTER),
        ADAPTER,
        "is not among the weights that are loaded; expected no weights beside those of the model (model.safetensors)",
    ),
    "weights twice": (
        lambda f: [shutil.copy(f / WEIGHTS, f / "model-1.safetensors"), index(f, "model-1.safetensors")],
        WEIGHTS,
        "is not among the weights that are loaded",
    ),
    "a shard that the index does not name": (
        lambda f: [index(f, WEIGHTS), shutil.copy(f / WEIGHTS, f / "model-2.safetensors")],
        "model-2.safetensors",
        "is not among the weights that are loaded",
    ),
    "a shard too few": (lambda f: index(f, "model-2.safetensors"), "model-2.safetensors", "is missing; expected all"),
    "a shard that is a link to nothing": (
        lambda f: [index(f, "model-2.safetensors"), (f / "model-2.safetensors").symlink_to("gone")],
        "model-2.safetensors",
        "a link whose file is gone",
    ),
    "a tensor in two shards": (
        lambda f: [shutil.copy(f / WEIGHTS, f / "model-2.safetensors"), index(f, WEIGHTS, norm="model-2.safetensors")],
        "model-2.safetensors",
        "has a tensor that the index does not name there",
    ),
    "a tensor that no shard has": (lambda f: index(f, WEIGHTS, new=WEIGHTS), WEIGHTS, "lacks a tensor"),
    "an index without files": (lambda f: (f / INDEX).write_text("{}"), INDEX, "key 'weight_map': names no weights"),
    "an index of a list": (lambda f: (f / INDEX).write_text('{"weight_map": [1]}'), INDEX, "names no weights"),
    "an index that is cut": (lambda f: [index(f, WEIGHTS), halve(f / INDEX)], INDEX, "in JSON"),
    "other weights by config": (
        lambda f: edit_json(f / "config.json", transformers_weights="other.safetensors"),
        "config.json",
        "names other weights",
    ),
    "a template that is a link to nothing": (
        lambda f: (f / "chat_template.jinja").symlink_to("gone"),
        "chat_template.jinja",
        "a link whose file is gone",
    ),
    # quantised weights
    "bitsandbytes": (
        lambda f: edit_json(f / "config.json", quantization_config={"load_in_4bit": True}),
        "config.json",
        "key 'quantization_config': shows that the weights are quantised",
    ),
    "an older AWQ": (lambda f: (f / "quant_config.json").write_text("{}"), "quant_config.json", "are quantised"),
    "an older GPTQ": (lambda f: (f / "quantize_config.json").write_text("{}"), "quantize_config.json", "in bfloat16"),
    "integers": (
        lambda f: edit_weights(f / WEIGHTS, lambda ts: {n: t.round().clamp(-9, 9).char() for n, t in ts.items()}),
        WEIGHTS,
        "are quantised",
    ),
    "GGUF": (lambda f: (f / WEIGHTS).rename(f / "model.gguf"), "", "a GGUF file: gguf_file"),
    "GGUF alone": (lambda f: [file.unlink() for file in f.iterdir()], "", "(or a gguf_file)"),
}
# Sizes of config.json, and values that are none of each.
SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
NO_SIZES = {"null": None, "zero": 0, "negative": -1, "a text": "64", "a fraction": 64.5, "true": True, "a list": [64]}
BREAKAGES |= {
    f"{key}: {said}": (partial(config, changed={key: value}), "config.json", f"key '{key}': is {value!r}; expected a")
    for key in (*SIZES, "num_key_value_heads", "max_position_embeddings", "head_dim")
    for said, value in NO_SIZES.items()
    if not (value is None and key in ("num_key_value_heads", "head_dim"))
}
BREAKAGES |= {
    f"no {key}": (partial(config, removed=key), "config.json", f"key '{key}': is None; expected a whole number")
    for key in SIZES
}
BREAKAGES |= {
    "heads that do not share the keys": (
        partial(config, changed={"num_attention_heads": 4, "num_key_value_heads": 3}),
        "config.json",
        "key 'num_key_value_heads': is 3; expected a divisor of the 4 heads",
    ),
    "heads that do not divide the width": (
        partial(config, changed={"num_attention_heads": 6}),
        "config.json",
        "key 'num_attention_heads': is 6; expected a divisor of the hidden_size 64",
    ),
    "no architecture": (partial(config, removed="model_type"), "config.json", "key 'model_type': is None"),
    "an architecture in numbers": (partial(config, changed={"model_type": 2}), "config.json", "'model_type': is 2"),
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


# Folders as others write them, which are whole.
WHOLE = {
    "shards": lambda f: [shard(f, 3)],
    "one shard": lambda f: [shard(f, 1)],
    "an index of one file": lambda f: index(f, WEIGHTS),
    "the weights in a format that nothing reads": lambda f: shutil.copy(f / WEIGHTS, f / "consolidated.safetensors"),
    "pickled weights besides": lambda f: (f / "pytorch_model.bin").write_bytes(b"x"),
    "null for heads": lambda f: config(f, changed={"num_key_value_heads": None}),
    "templates": lambda f: [
        (f / "additional_chat_templates").mkdir(),
        (f / "additional_chat_templates" / "tools.jinja").write_text("x"),
        (f / "chat_template.jinja").write_text("x"),
    ],
}


def shard(folder, count):
    """Split the weights over files, with an index."""
    from safetensors.torch import load_file, save_file

    tensors, named = sorted(load_file(folder / WEIGHTS).items()), {}
    (folder / WEIGHTS).unlink()
    for number in range(count):
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = dict(tensors[number::count])
        save_file(part, folder / file, metadata={"format": "pt"})
        named |= dict.fromkeys(part, file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": named}))


@pytest.mark.parametrize("change", WHOLE.values(), ids=WHOLE)
def test_a_whole_folder_is_used_and_its_handle_names_what_belongs_to_the_model(change, handle, tmp_path):
    folder = copy_of(handle.parent, tmp_path / "model")
    change(folder)
    fetch_base({"source": "folder", "path": str(folder)}, tmp_path / "base.json")
    assert load_model(tmp_path / "base.json", [], "float32").config.model_type == "qwen2"
    named = json.loads((tmp_path / "base.json").read_text())
    assert [*named["sha256"]] == [str(file.relative_to(folder)) for file in model_files(folder)]
    assert named["size"] == {name: (folder / name).stat().st_size for name in named["sha256"]}
    left = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {*named["sha256"]}
    assert left <= {"base.json", "consolidated.safetensors", "pytorch_model.bin"}


BELONGING = ("config.json", "model-1.safetensors", "merges.txt", "tokenizer.model", "chat_template.jinja")
BELONGING = (*BELONGING, "additional_chat_templates/tools.jinja", "adapter_model.safetensors")


@pytest.mark.parametrize("name", BELONGING)
def test_the_content_of_a_folder_changes_with_each_file_of_the_model_and_not_with_dates(name, handle, tmp_path):
    """A large file is read in parts, in equal distances."""
    folders = [copy_of(handle.parent, tmp_path / str(number)) for number in range(5)]
    for folder in folders:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(2 * BLOCK * BLOCKS) if "model" in name else b"as it was")
    same, other_date, other_bytes, other_name, without = folders
    os.utime(other_date / name, (0, 0))
    (other_date / "notes.md").write_text("no part of the model")
    (other_date / "base.json").write_text("another handle")
    size = (other_bytes / name).stat().st_size
    (other_bytes / name).write_bytes(b"\1" * size)
    (other_name / name).rename((other_name / name).with_stem("new"))
    (without / name).unlink()
    assert content(other_date) == content(same)
    assert len({content(folder) for folder in folders}) == 4


# --- the hub -------------------------------------------------------------------------------------------------------

REPO, SECRET = "meta-llama/Meta-Llama-3-8B", "hf_secret"
PAGE = f"https://huggingface.co/{REPO}"


def refused(kind, status):
    """An error of the hub, as its answers make it."""
    request = httpx2.Request("GET", f"{PAGE}/resolve/main/config.json", headers={"authorization": f"Bearer {SECRET}"})
    return kind("the hub said no", response=httpx2.Response(status, request=request))


# What the hub or the connection says, and what the user is told.
REFUSALS = {
    "gated": (refused(errors.GatedRepoError, 403), ("gated", "there is no token", "licence", PAGE, "HF_TOKEN")),
    "missing": (refused(errors.RepositoryNotFoundError, 401), ("is no model of the hub", PAGE, "private", "HF_TOKEN")),
    "no such revision": (refused(errors.RevisionNotFoundError, 404), ("no revision aaa", f"{PAGE}/commits")),
    "no name": (errors.HFValidationError("Repo id must be ..."), ("is no model of the hub", PAGE)),
    "disabled": (refused(errors.DisabledRepoError, 403), ("the hub said no", PAGE)),
    "at fault": (refused(errors.HfHubHTTPError, 503), ("the hub said no", "run again")),
    "no connection": (httpx2.ConnectError("no name"), ("cannot be reached", "no name", "HF_HUB_OFFLINE", "HF_HOME")),
    "cut": (httpx2.ReadTimeout("too slow"), ("cannot be reached", "too slow", "a connection to")),
    "offline": (errors.LocalEntryNotFoundError("outgoing traffic"), ("cannot be reached", "HF_HUB_OFFLINE")),
    "part of it": (errors.IncompleteSnapshotError("3 files", "x"), ("does not have the whole model", "3 files")),
}


@pytest.mark.parametrize("token", [None, SECRET])
@pytest.mark.parametrize(("error", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_model_that_the_hub_does_not_give_is_an_error_that_says_what_to_do(
    error, words, token, tmp_path, monkeypatch, capsys
):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(InputError) as caught:
        fetch_base({"source": "hub", "repo": REPO, "revision": "a" * 40}, tmp_path / "base.json")
    told = explanation(caught.value) + capsys.readouterr().err
    words = [word if not token else word.replace("there is no token", "not accepted by the account") for word in words]
    assert REPO in told and all(word in told for word in words)
    assert SECRET not in told and "defect" not in told and not (tmp_path / "base.json").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), PermissionError("cache")])
def test_what_the_hub_is_not_at_fault_for_keeps_its_own_remedy(error, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(type(error)):
        fetch_base({"source": "hub", "repo": REPO, "revision": "a" * 40}, tmp_path / "base.json")
