"""LoRA adapters on disk, and the handles that stand for them.

`epochs.json` is the handle of the adapters of a run's epochs. `chosen.json` is the handle of the adapter of the chosen
epoch. A handle has the digests of the adapters beside it. So a job that needs adapters depends on one small file, which
changes when they do. Adapters are checked when they are loaded.
"""

import shutil
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import digest, read_json, write_atomically, write_json

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def write_epochs(handle: Path, adapters: list[Path]) -> None:
    """Copy the adapter of each epoch beside the handle, and write the handle last."""
    digests = {}
    for epoch, adapter in enumerate(adapters, 1):
        folder = epoch_folder(handle, epoch)
        copy_adapter(adapter, folder)
        config = read_json(folder / ADAPTER_FILES[0], "an adapter's config")
        # peft keeps names of modules in sets, which each process writes in an order of its own.
        ordered = {key: sorted(value) if isinstance(value, list) else value for key, value in config.items()}
        write_json(ordered, folder / ADAPTER_FILES[0])
        digests[str(epoch)] = {name: digest(folder / name) for name in ADAPTER_FILES}
    write_json(digests, handle)


def read_epochs(handle: Path) -> list[Path]:
    """The adapter folders of a run's epochs, in order.

    Raises InputError where the handle is broken, or a file of an adapter is missing or has changed.
    """
    named = read_json(handle, "the handle of a run's epochs")
    if not isinstance(named, dict) or [*named] != [str(epoch) for epoch in range(1, len(named) + 1)] or not named:
        raise InputError(handle, "is broken", "a handle as train_adapter writes it: the epochs 1, 2, …")
    folders = [epoch_folder(handle, int(epoch)) for epoch in named]
    for folder, digests in zip(folders, named.values(), strict=True):
        _check_files(folder, handle, digests)
    return folders


def write_chosen(handle: Path, adapter: Path, chosen: dict[str, object]) -> None:
    """Copy a state's adapter beside its handle, and write the handle last, with `chosen` and the digests of the files."""
    copy_adapter(adapter, handle.parent)
    write_json(chosen | {"sha256": {name: digest(handle.parent / name) for name in ADAPTER_FILES}}, handle)


def adapter_folder(handle: Path) -> Path:
    """The folder of a state's adapter.

    Raises InputError where the handle is broken, or a file of the adapter is missing or has changed.
    """
    named = read_json(handle, "the handle of an adapter")
    if not isinstance(named, dict) or not isinstance(named.get("sha256"), dict):
        raise InputError(handle, "is broken", "a handle as choose_epoch writes it", key="sha256")
    _check_files(handle.parent, handle, named["sha256"])
    return handle.parent


def _check_files(folder: Path, handle: Path, digests: Any) -> None:
    """Raise InputError unless the folder's adapter has the digests that the handle names."""
    expected = f"the adapter that {handle} names (restore it, or remove {handle} to make it again)"
    for name in ADAPTER_FILES:
        if not (folder / name).is_file():
            raise InputError(folder / name, "is missing", expected)
        if not isinstance(digests, dict) or digests.get(name) != digest(folder / name):
            raise InputError(folder / name, "is not as it was when it was trained", expected)


def epoch_folder(handle: Path, epoch: int) -> Path:
    """The folder of the adapter of an epoch; epochs are counted from 1."""
    return handle.parent / f"epoch-{epoch:02}"


def copy_adapter(source: Path, target: Path) -> None:
    """Copy an adapter's files, each whole or not at all."""
    for name in ADAPTER_FILES:
        with write_atomically(target / name) as temporary:
            shutil.copyfile(source / name, temporary)


def merge_adapter(model: Any, folder: Path) -> Any:
    """The model with the folder's adapter merged into its weights. Raises the errors of `with_adapter` and `merged`."""
    return merged(with_adapter(model, folder), folder)


def merged(adapted: Any, folder: Path) -> Any:
    """Merge the adapter into the weights of a model that `with_adapter` returned; the errors name `folder`.

    The parameters get new data, and the old data do not change. Raises InputError where no weight changes.
    """
    import torch

    before = [(parameter, parameter.data) for parameter in adapted.parameters()]
    model = adapted.merge_and_unload(safe_merge=True)
    if all(torch.equal(parameter.data, data) for parameter, data in before):
        raise InputError(folder, "changes no weight of the model", "an adapter that training has changed")
    return model


def with_adapter(model: Any, folder: Path, trainable: bool = False) -> Any:
    """The model with the folder's adapter added to its layers, not merged.

    Raises InputError for an adapter that is broken, empty or of another model; the model then stays as it was.
    """
    from peft import PeftModel

    names = check_adapter(folder)
    try:
        adapted = PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        _take_off(model)
        cause = " ".join(str(error).split())
        raise InputError(folder, f"does not fit the model ({cause})", "an adapter trained on this model") from error
    places = {name.replace(".default.", ".") for name, _ in adapted.named_parameters() if "lora_" in name}
    if places != set(names):  # peft leaves out weights that the model has no place for
        _take_off(model)
        problem = (
            f"has {len(names)} weights; the model has places for {len(places)}, {len(places & set(names))} by name"
        )
        raise InputError(folder, problem, "an adapter trained on this model")
    return adapted


def _take_off(model: Any) -> None:
    """Remove from a model the adapter that peft has added to it."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            model.set_submodule(name, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config


def check_adapter(folder: Path) -> list[str]:
    """The names of the adapter's weights. Raises InputError unless the folder has a whole adapter with finite weights."""
    from safetensors import SafetensorError, safe_open

    kind = read_json(folder / "adapter_config.json", "an adapter's config")
    if not isinstance(kind, dict) or kind.get("peft_type") != "LORA":
        raise InputError(folder / "adapter_config.json", "is not a LoRA adapter", "peft_type: LORA", key="peft_type")
    weights = folder / "adapter_model.safetensors"
    try:
        with safe_open(weights, framework="pt") as tensors:
            names = list(tensors.keys())
            broken = next((name for name in names if not tensors.get_tensor(name).isfinite().all()), None)
    except (OSError, SafetensorError) as error:
        raise InputError(weights, f"cannot be read ({error})", "a whole safetensors file of an adapter") from error
    if not names:
        raise InputError(weights, "holds no weights", "the weights of an adapter")
    if broken:
        raise InputError(weights, "has values that are not finite", "an adapter whose training went well", key=broken)
    return names
