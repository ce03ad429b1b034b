"""LoRA adapters on disk, their handles, and what is said of broken ones."""

import json
import shutil

import pytest

from damage import contents, copy_of, cut, edit_json, edit_weights, halve, replace_by_text
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models.adapters import (
    ADAPTER_FILES,
    adapter_folder,
    epoch_folder,
    read_epochs,
    with_adapter,
    write_chosen,
    write_epochs,
)
from gradual.models.loading import load_model
from tiny import SIZES, base_model, write_adapter

ADAPTER = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"))


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
        "is not a LoRA adapter",
    ),
    "config of nothing": (
        lambda f: (f / "adapter_config.json").write_text("{}"),
        "adapter_config.json",
        "peft_type",
        "expected peft_type: LORA",
    ),
    "adapter of another kind": (
        configure(peft_type="IA3"),
        "adapter_config.json",
        "peft_type",
        "is not a LoRA adapter",
    ),
    "empty weights": (lambda f: cut(f / ADAPTER), ADAPTER, None, "cannot be read"),
    "weights cut in their header": (lambda f: cut(f / ADAPTER, 100), ADAPTER, None, "cannot be read"),
    "weights cut in their values": (lambda f: halve(f / ADAPTER), ADAPTER, None, "not fully covered"),
    "weights that are a pointer to them": (lambda f: replace_by_text(f / ADAPTER), ADAPTER, None, "cannot be read"),
    "weights without tensors": (lambda f: edit_weights(f / ADAPTER, lambda _: {}), ADAPTER, None, "holds no weights"),
    "a value that is no number": (with_value(float("nan")), ADAPTER, FIRST, "has values that are not finite"),
    "a value without end": (with_value(float("inf")), ADAPTER, FIRST, "has values that are not finite"),
    "a value without beginning": (with_value(float("-inf")), ADAPTER, FIRST, "whose training went well"),
    "a tensor too few": (edit_adapter(lambda _: None), "", None, "has 7 weights; the model has places for 8"),
    "a tensor of another name": (
        lambda f: edit_weights(f / ADAPTER, lambda ts: {n.replace("layers.0", "layers.7"): t for n, t in ts.items()}),
        "",
        None,
        "has 8 weights; the model has places for 8, 4 by name",
    ),
    "a tensor of another shape": (edit_adapter(lambda t: t[:, :32].clone()), "", None, "size mismatch"),
    "another rank": (configure(r=8), "", None, "does not fit the model"),
    "no rank": (configure(r=0), "", None, "`r` should be a positive integer"),
    "rank in words": (configure(r="four"), "", None, "does not fit the model"),
    "other targets": (configure(target_modules=["o_proj"]), "", None, "has 8 weights; the model has places for 4"),
    "fewer targets": (configure(target_modules=["q_proj"]), "", None, "expected an adapter trained on this model"),
    "more targets": (
        configure(target_modules=["q_proj", "v_proj", "o_proj"]),
        "",
        None,
        "has 8 weights; the model has places for 12",
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
    "more layers": ({"layers": 3}, "qwen2", "has 8 weights; the model has places for 12"),
    "fewer layers": ({"layers": 1}, "qwen2", "has 8 weights; the model has places for 4"),
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


# --- handles ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def chosen(adapter, tmp_path):
    """The handle of a state's adapter."""
    write_chosen(tmp_path / "state" / "chosen.json", adapter, {"epoch": 3, "chosen_on": "dev"})
    return tmp_path / "state" / "chosen.json"


@pytest.fixture
def epochs(adapter, tmp_path):
    """The handle of two epochs."""
    write_epochs(tmp_path / "epochs" / "epochs.json", [adapter, adapter])
    return tmp_path / "epochs" / "epochs.json"


def digests(adapter):
    return {name: digest(adapter / name) for name in ADAPTER_FILES}


def test_a_states_handle_says_what_was_chosen_and_its_adapter_lies_beside_it(chosen, adapter):
    assert json.loads(chosen.read_text()) == {"epoch": 3, "chosen_on": "dev", "sha256": digests(adapter)}
    assert digests(adapter_folder(chosen)) == digests(adapter)
    assert {path.name for path in chosen.parent.iterdir()} == {"chosen.json", *ADAPTER_FILES}


def test_the_handle_of_epochs_leads_to_each_of_them_in_order(epochs, adapter):
    folders = [epoch_folder(epochs, 1), epoch_folder(epochs, 2)]
    assert json.loads(epochs.read_text()) == {"1": digests(folders[0]), "2": digests(folders[1])}
    assert read_epochs(epochs) == folders
    assert [digests(folder)[ADAPTER] for folder in folders] == [digests(adapter)[ADAPTER]] * 2


def test_a_handle_changes_with_its_adapter(chosen, handle, tmp_path):
    """So that what depends on the handle is made again."""
    before = chosen.read_text()
    other = write_adapter(handle, tmp_path / "other", seed=1, targets=("q_proj", "v_proj"))
    write_chosen(chosen, other, {"epoch": 3, "chosen_on": "dev"})
    assert chosen.read_text() != before


# What leaves no JSON of a handle, and what is JSON but no handle.
UNREADABLE = {
    "missing": lambda file: file.unlink(),
    "empty": cut,
    "truncated": halve,
    "no text": lambda file: file.write_bytes(b"\xff\xfe"),
    "a folder": lambda file: [file.unlink(), file.mkdir()],
}
UNFIT = {
    "a list": "[]",
    "without digests": "{}",
    "digests of no object": '{"sha256": [], "1": []}',
}


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize(("name", "read"), [("chosen", adapter_folder), ("epochs", read_epochs)])
def test_a_handle_that_cannot_be_read_is_named(name, read, damage, request):
    file = request.getfixturevalue(name)
    damage(file)
    with pytest.raises(InputError, match="cannot be read .*; expected the handle of a.*, in JSON") as caught:
        read(file)
    assert caught.value.file == str(file)


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize(
    ("name", "read", "maker"), [("chosen", adapter_folder, "choose_epoch"), ("epochs", read_epochs, "train_adapter")]
)
def test_what_is_no_handle_is_named(name, read, maker, text, request):
    file = request.getfixturevalue(name)
    file.write_text(text)
    with pytest.raises(InputError, match=f"is broken; expected a handle as {maker} writes it") as caught:
        read(file)
    assert caught.value.file == str(file)


@pytest.mark.parametrize("numbers", [["2"], ["1", "3"], ["2", "1"]])
def test_epochs_that_are_not_numbered_from_one_are_named(numbers, epochs, adapter):
    epochs.write_text(json.dumps(dict.fromkeys(numbers, digests(adapter))))
    with pytest.raises(InputError, match="is broken; .*: the epochs 1, 2, …"):
        read_epochs(epochs)


NAMED = pytest.mark.parametrize(
    ("name", "read", "folder"),
    [("chosen", adapter_folder, lambda file: file.parent), ("epochs", read_epochs, lambda file: epoch_folder(file, 2))],
    ids=["chosen", "epochs"],
)


@pytest.mark.parametrize("changed", ADAPTER_FILES)
@NAMED
def test_a_file_that_is_not_as_its_handle_says_is_named_with_what_to_do(name, read, folder, changed, request):
    file = request.getfixturevalue(name)
    path = folder(file) / changed
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(InputError, match="is not as it was when it was trained; .*to make it again") as caught:
        read(file)
    assert caught.value.file == str(path)


@pytest.mark.parametrize("missing", ADAPTER_FILES)
@NAMED
def test_a_file_that_a_handle_names_and_that_is_gone_is_named_with_what_to_do(name, read, folder, missing, request):
    file = request.getfixturevalue(name)
    (folder(file) / missing).unlink()
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(caught.value) == (
        f"{folder(file) / missing}: is missing; expected the adapter that {file} names"
        f" (restore it, or remove {file} to make it again)"
    )


def test_equal_trainings_have_equal_handles_although_peft_orders_modules_anew_in_each_process(adapter, tmp_path):
    handles = []
    for order in (["q_proj", "v_proj"], ["v_proj", "q_proj"]):
        told = copy_of(adapter, tmp_path / order[0])
        edit_json(told / "adapter_config.json", target_modules=order)
        handles.append(tmp_path / f"epochs-{order[0]}" / "epochs.json")
        write_epochs(handles[-1], [told])
    assert handles[0].read_bytes() == handles[1].read_bytes()
    assert read_epochs(handles[1]) == [handles[1].parent / "epoch-01"]
