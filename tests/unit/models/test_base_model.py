import json
import shutil

import pytest

from damage import contents, copy_of, cut, edit_json, edit_weights, halve, replace_by_text
from gradual.ground.errors import InputError
from gradual.models.adapters import with_adapter
from gradual.models.fetching import fetch_base
from gradual.models.handle import model_folder
from gradual.models.loading import load_model, load_tokenizer
from gradual.training.pretraining import pack, pretrain
from tiny import SIZES, base_model, write_adapter

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


WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"

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
    "config that is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json", "holds no object"),
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
    fetch_base({"source": "folder", "path": str(folder)}, tmp_path / "base.json")
    with pytest.raises(InputError, match=words) as caught:
        load_model(tmp_path / "base.json", [], "float32")
    assert caught.value.file == str(folder)


@pytest.mark.parametrize(
    ("settings", "words"), [({"learning_rate": 1e30}, "not finite"), ({"batch_rows": 10**6}, "rows of 16")]
)
def test_a_pretraining_that_cannot_work_is_a_clear_error(settings, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        pretrain(DOCUMENTS, MODEL, SETTINGS | settings, 3, tmp_path)
    assert caught.value.file == "pretraining" and caught.value.key in settings


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


def test_a_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        fetch_base({"source": "folder", "path": str(tmp_path / "none")}, tmp_path / "base.json")


@pytest.fixture(scope="module")
def adapter(handle, tmp_path_factory):
    return write_adapter(handle, tmp_path_factory.mktemp("adapter"), targets=("q_proj", "v_proj"))


def edit_adapter(change):
    """Changes the first of the adapter's tensors to what `change` makes of it, or leaves it out for None."""

    def apply(tensors):
        first = min(tensors)
        changed = change(tensors[first])
        return {n: t for n, t in tensors.items() if n != first} | ({} if changed is None else {first: changed})

    return lambda folder: edit_weights(folder / ADAPTER, apply)


def with_value(value):
    def change(tensor):
        tensor[-1, -1] = value  # one is enough
        return tensor

    return edit_adapter(change)


def configure(**changes):
    return lambda folder: edit_json(folder / "adapter_config.json", **changes)


FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
# What breaks an adapter, the file ("" for its folder) and the key that the error names, and its words.
ADAPTERS = {
    "no folder": (shutil.rmtree, "adapter_config.json", None, "expected an adapter's config, in JSON"),
    "no config": (lambda f: (f / "adapter_config.json").unlink(), "adapter_config.json", None, "cannot be read"),
    "no weights": (lambda f: (f / ADAPTER).unlink(), ADAPTER, None, "expected a whole safetensors file of an adapter"),
    "pickled weights": (lambda f: (f / ADAPTER).rename(f / "adapter_model.bin"), ADAPTER, None, "cannot be read"),
    "empty config": (lambda f: cut(f / "adapter_config.json"), "adapter_config.json", None, "cannot be read"),
    "config cut short": (lambda f: halve(f / "adapter_config.json"), "adapter_config.json", None, "in JSON"),
    "config that is a list": (
        lambda f: (f / "adapter_config.json").write_text("[]"),
        "adapter_config.json",
        "peft_type",
        "is no LoRA adapter",
    ),
    "config of nothing": (
        lambda f: (f / "adapter_config.json").write_text("{}"),
        "adapter_config.json",
        "peft_type",
        "expected peft_type: LORA",
    ),
    "adapter of another kind": (configure(peft_type="IA3"), "adapter_config.json", "peft_type", "is no LoRA adapter"),
    "empty weights": (lambda f: cut(f / ADAPTER), ADAPTER, None, "cannot be read"),
    "weights cut in their header": (lambda f: cut(f / ADAPTER, 100), ADAPTER, None, "cannot be read"),
    "weights cut in their values": (lambda f: halve(f / ADAPTER), ADAPTER, None, "not fully covered"),
    "weights that are a pointer to them": (lambda f: replace_by_text(f / ADAPTER), ADAPTER, None, "cannot be read"),
    "weights without tensors": (lambda f: edit_weights(f / ADAPTER, lambda _: {}), ADAPTER, None, "holds no weights"),
    "a value that is no number": (with_value(float("nan")), ADAPTER, FIRST, "has values that are not finite"),
    "a value without end": (with_value(float("inf")), ADAPTER, FIRST, "has values that are not finite"),
    "a value without beginning": (with_value(float("-inf")), ADAPTER, FIRST, "whose training went well"),
    "a tensor too few": (edit_adapter(lambda _: None), "", None, "has 7 weights, of which the model has 8"),
    "a tensor of another name": (
        lambda f: edit_weights(f / ADAPTER, lambda ts: {n.replace("layers.0", "layers.7"): t for n, t in ts.items()}),
        "",
        None,
        "has 8 weights, of which the model has 8, 4 by name",
    ),
    "a tensor of another shape": (edit_adapter(lambda t: t[:, :32].clone()), "", None, "size mismatch"),
    "another rank": (configure(r=8), "", None, "does not fit the model"),
    "no rank": (configure(r=0), "", None, "`r` should be a positive integer"),
    "rank in words": (configure(r="four"), "", None, "does not fit the model"),
    "other targets": (configure(target_modules=["o_proj"]), "", None, "has 8 weights, of which the model has 4"),
    "fewer targets": (configure(target_modules=["q_proj"]), "", None, "expected an adapter trained on this model"),
    "more targets": (
        configure(target_modules=["q_proj", "v_proj", "o_proj"]),
        "",
        None,
        "has 8 weights, of which the model has 12",
    ),
    "targets of another architecture": (configure(target_modules=["c_attn"]), "", None, "not found in the base model"),
    "no targets": (configure(target_modules=[]), "", None, "does not fit the model"),
}


@pytest.mark.parametrize(("breakage", "file", "key", "words"), ADAPTERS.values(), ids=ADAPTERS)
@pytest.mark.parametrize("trainable", [False, True], ids=["merged", "continued"])
def test_a_broken_adapter_is_a_clear_error(breakage, file, key, words, trainable, handle, adapter, tmp_path):
    folder = copy_of(adapter, tmp_path / "adapter")
    breakage(folder)
    before = contents(folder)
    model = load_model(handle, [], "float32")
    with pytest.raises(InputError) as caught:
        with_adapter(model, folder, trainable)
    assert (caught.value.file, caught.value.key) == (str(folder / file), key)
    assert words in str(caught.value) and "; expected " in str(caught.value)
    assert contents(folder) == before


def test_a_whole_adapter_is_taken_and_changes_the_model(handle, adapter):
    import torch

    ids = torch.arange(8)[None]
    plain, adapted = (load_model(handle, adapters, "float32")(ids).logits for adapters in ([], [adapter]))
    assert not torch.equal(plain, adapted)


OTHER_MODELS = {
    "more layers": ({"layers": 3}, "qwen2", "has 8 weights, of which the model has 12"),
    "fewer layers": ({"layers": 1}, "qwen2", "has 8 weights, of which the model has 4"),
    "narrower": ({"hidden_size": 32}, "qwen2", "does not fit the model"),
    "another architecture": ({}, "llama", "does not fit the model"),
}


@pytest.mark.parametrize(("sizes", "architecture", "words"), OTHER_MODELS.values(), ids=OTHER_MODELS)
def test_an_adapter_of_another_model_is_refused(sizes, architecture, words, adapter, tmp_path, monkeypatch):
    """peft alone would leave out what it finds no place for, and only warn."""
    for key, size in sizes.items():
        monkeypatch.setitem(SIZES, key, size)
    other = base_model(tmp_path / "other", architecture)
    with pytest.raises(InputError, match=words) as caught:
        load_model(other, [adapter], "float32")
    assert caught.value.file == str(adapter)
    assert "expected an adapter trained on this model" in str(caught.value)


def test_a_killed_pretraining_resumes_from_its_last_whole_checkpoint_to_the_same_model(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr("gradual.training.pretraining.SAVE_STEPS", 5)
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
