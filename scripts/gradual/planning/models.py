"""What a plan needs of base models: their shapes, and the folders of their files."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import try_to_load_from_cache

from gradual.models.fetching import folder_named
from gradual.models.folder import SIZES, check_config
from gradual.models.shape import Shape, shape_of

RESOURCES = ("models.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])
STAND_IN = "Qwen/Qwen2-7B"  # its shape is planned for a model whose shape is not known


@dataclass(frozen=True)
class Base:
    """A base model: its shape, where the shape is from, and whether its repository on the hub is gated."""

    shape: Shape
    source: str
    gated: bool = False

    @property
    def begin_tokens(self) -> int:
        """Tokens that the tokenizer puts before a text: one for Llama, none for Qwen2."""
        return int(self.shape.architecture == "llama")


def base_of(model: Mapping[str, Any], vocabulary: int) -> Base:
    """A base model of the config; `vocabulary` is the config's pretraining.vocabulary.

    Raises InputError for a folder whose config.json cannot be used.
    """
    if model["source"] == "pretrain":
        own = {field.name: model[field.name] for field in fields(Shape) if field.name in model}
        head = model["hidden_size"] // model["heads"]
        return Base(Shape(**own, head_size=head, vocabulary=vocabulary, tied=True), "shape from the config")
    listed = pd.read_csv(FILE, index_col="repo").to_dict("index")
    repo, folder = model.get("repo", ""), folder_of(model)
    gated = bool(listed.get(repo, {}).get("gated", False))
    if folder is not None and (folder / "config.json").is_file():
        config = check_config(folder / "config.json")
        if {*SIZES} <= {*config}:  # other architectures have other names for them
            return Base(shape_of(config), "shape from its config.json", gated)
    row = listed.get(repo, listed[STAND_IN])
    source = f"shape from {FILE.name}" if repo in listed else f"shape not known, planned as {STAND_IN}"
    return Base(Shape(**{field.name: row[field.name] for field in fields(Shape)}), source, gated)


def folder_of(model: Mapping[str, Any]) -> Path | None:
    """The folder of a model's files: the config's, or that in the hub's cache; None if the cache does not have it."""
    if model["source"] == "folder":
        return folder_named(model)
    found = try_to_load_from_cache(model["repo"], "config.json", revision=model["revision"])
    return Path(found).parent if isinstance(found, str) else None
