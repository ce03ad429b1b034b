"""What a plan needs of base models: their shapes, the folders of their files, and which of them are shipped."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import try_to_load_from_cache

from gradual.data.augmentation_forms import KINDS
from gradual.data.dataset import WORLD
from gradual.ground.files import digest
from gradual.models.converted import is_there, place_of, read_model
from gradual.models.fetching import folder_named, is_converted, weights_dtype
from gradual.models.folder import ARCHITECTURES, check_config
from gradual.models.gguf_tokenizer import tokenizer_files
from gradual.models.shape import BYTES, Shape, has_shape, shape_of
from gradual.models.shipped import card_part, cards

RESOURCES = ("models.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])
BEGINNING = ("llama", "mistral", "gemma", "gemma2", "gemma3_text")
STAND_IN = "Qwen/Qwen2-7B"  # its shape is planned for a model whose shape is not known


@dataclass(frozen=True)
class Base:
    """A base model: its shape, where the shape is from, and whether its repository on the hub is gated."""

    shape: Shape
    source: str
    gated: bool = False

    @property
    def begin_tokens(self) -> int:
        """Tokens that the tokenizer puts before a text: one for Llama, Mistral and Gemma, none for Qwen2 and others."""
        return int(self.shape.architecture in BEGINNING)


def base_of(model: Mapping[str, Any], vocabulary: int) -> Base:
    """A base model of the config; `vocabulary` is the config's pretraining.vocabulary.

    Raises InputError for a folder whose config.json cannot be used, and for a GGUF file that cannot be converted.
    """
    if model["source"] == "pretrain":
        own = {field.name: model[field.name] for field in fields(Shape) if field.name in model}
        head = model["hidden_size"] // model["heads"]
        return Base(Shape(**own, head_size=head, vocabulary=vocabulary, tied=True), "shape from the config")
    listed = pd.read_csv(FILE, index_col="name").to_dict("index")
    repo, folder = model.get("repo") or model.get("package", ""), folder_of(model)
    gated = bool(listed.get(repo, {}).get("gated", False))
    if folder is not None and (folder / "config.json").is_file():
        config = check_config(folder / "config.json")
        if has_shape(config):
            shape, source = shape_of(config), "shape from its config.json"
            if shape.architecture not in ARCHITECTURES:
                source = f"a {shape.architecture} model, estimated as a Llama of the sizes in its config.json"
            return Base(shape, source, gated)
    if folder is None and (file := gguf_of(model)) is not None:
        return Base(shape_of(read_model(file, weights_dtype(model))[1]), f"shape from {file.name}", gated)
    row = listed.get(repo, listed[STAND_IN])
    source = f"shape from {FILE.name}" if repo in listed else f"shape not known, planned as {STAND_IN}"
    return Base(Shape(**{field.name: row[field.name] for field in fields(Shape)}), source, gated)


def weight_bytes(model: Mapping[str, Any], shape: Shape) -> int:
    """Bytes of a model's weights in its dtype. auto is taken for bfloat16, which most repositories have."""
    dtype = weights_dtype(model) if is_converted(model) else model["dtype"]
    return shape.parameters * BYTES.get(dtype, BYTES["bfloat16"])


def text_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says about the text of its base models: the parts that the corpus follows from, without places."""
    left_out, given = {"path", "url", "sha256", "manifest", "revisions"}, config["corpus"]
    corpus = {key: value for key, value in given.items() if value or key not in ("reworded", *KINDS)}
    if not given["reworded"] and not given["rewrite"]:  # then no document follows from the wordings
        left_out.add("wordings")
    dataset = {key: value for key, value in config["dataset"].items() if key not in left_out}
    world = config["world"] if dataset["reader"] == WORLD else {}
    return {"dataset": dataset, "world": world, "corpus": corpus}


def shipped_seeds(config: Mapping[str, Any], model: str, shelf: Path) -> set[int]:
    """The seeds for which a shipped model has the settings of a study's model, as far as its config alone tells.

    The job that takes the model also compares the corpus and the code. Raises InputError where a card cannot be read.
    """
    sizes, found = config["models"][model], set()
    for card in cards(shelf):
        recipe, text = card_part(card, "recipe"), card_part(card, "text")
        same = text == text_of(config) and recipe["settings"] == config["pretraining"]
        if same and recipe["model"].items() <= sizes.items():
            found.add(recipe["seed"])
    return found


def folder_of(model: Mapping[str, Any]) -> Path | None:
    """The folder of a model's files, if it is here: the config's, that in the hub's cache, or that of a converted model."""
    if is_converted(model):
        return _converted(model)
    return folder_named(model) if model["source"] == "folder" else _cached(model, "config.json")


def gguf_of(model: Mapping[str, Any]) -> Path | None:
    """The GGUF file of a model, if it is here: in the config's folder, or in the hub's cache."""
    if "gguf_file" not in model:
        return None
    folder = folder_named(model) if model["source"] == "folder" else _cached(model, model["gguf_file"])
    file = folder / model["gguf_file"] if folder else None
    return file if file and file.is_file() else None


def _cached(model: Mapping[str, Any], name: str) -> Path | None:
    """The folder of a revision in the hub's cache, if it has a file of this name."""
    found = try_to_load_from_cache(model["repo"], name, revision=model["revision"])
    return Path(str(found).removesuffix(name)) if isinstance(found, str) else None


def _converted(model: Mapping[str, Any]) -> Path | None:
    """The folder of a model that was converted from a GGUF file, if it is there."""
    file = gguf_of(model)
    if file is None and model["source"] != "package":
        return None
    sha256 = model["sha256"] if file is None else _digest(file.resolve())
    place = place_of(sha256, weights_dtype(model), tokenizer_files(file) if file else ())
    return place if is_there(place) else None


_digest = cache(digest)  # a file of several GB is read once
