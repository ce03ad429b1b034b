"""The base models and the adapters of a study, in folders that plain transformers and peft load.

A base model of the hub stays there, and an adapter names its repository and revision. Any other base model is copied. An
adapter of a run that trained on merged weights, or on a sum of adapters, is exported as the sum of all adapters that lead
to its state. This sum is exact but for rounding (`models.composition`), and needs nothing but the base model.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradual.export.study import Finished
from gradual.ground.files import read_json, write_json
from gradual.models.adapters import ADAPTER_FILES, adapter_folder, copy_adapter
from gradual.models.composition import composed_adapter
from gradual.models.handle import model_folder
from gradual.study import result_files as kinds
from gradual.study.result_files import Result


@dataclass(frozen=True)
class Base:
    """A base model as an export names it: the name of its folder beside the adapters, or a repository of the hub."""

    name: str
    revision: str | None = None
    made_here: bool = False  # pretrained by the study

    @property
    def copied(self) -> bool:
        """Whether the model is a folder of the export."""
        return self.revision is None


def base_of(study: Finished, seed: int, model: str) -> Base:
    """The base model of a model and seed. Only a model that is pretrained here differs from seed to seed."""
    given = study.config["models"][model]
    if given["source"] == "hub" and "gguf_file" not in given:
        return Base(given["repo"], given["revision"])
    if given["source"] == "pretrain":
        return Base(f"{model}-seed{seed}-base", made_here=True)
    return Base(f"{model}-base")


def adapter_name(seed: int, model: str, state: str) -> str:
    """The name of the folder of a state's adapter."""
    return f"{model}-seed{seed}-{state}"


def copy_base(study: Finished, seed: int, model: str, folder: Path) -> None:
    """Copy the files that the handle of a base model names. Raises InputError where one is not as the handle says."""
    handle = study.file(Result(kinds.BASE), seed, model)
    source = model_folder(handle)
    for name in read_json(handle, "the handle of a base model")["sha256"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)


def write_adapter(study: Finished, seed: int, model: str, state: str, folder: Path) -> int:
    """Write the adapter that gives a state from its base model, with the name of that model. Returns of how many it is.

    Raises InputError where an adapter is not as it was trained, or where several cannot be added up.
    """
    parts = [adapter_folder(handle) for handle in study.adapters(state, seed, model)]
    if len(parts) == 1:
        copy_adapter(parts[0], folder)
    else:
        composed_adapter(parts, [1.0] * len(parts), folder)
    base, file = base_of(study, seed, model), folder / ADAPTER_FILES[0]
    config: dict[str, Any] = read_json(file, "an adapter's config")
    write_json(config | {"base_model_name_or_path": base.name, "revision": base.revision}, file)
    return len(parts)
