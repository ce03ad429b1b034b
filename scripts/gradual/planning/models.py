"""Base models as far as a plan needs them: their shapes, sizes on disk, and their tokenizer where its files are here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.files import read_json
from gradual.study import result_paths

RESOURCES = ("models.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])
STAND_IN = "Qwen/Qwen2-7B"  # what a model is taken for whose shape is not known before it is downloaded
BYTES = {"float32": 4, "bfloat16": 2, "auto": 2}
ADAPTER_BYTES = 4  # peft trains adapters in float32, and saves them so
CHECKPOINT_COPIES = 3  # a checkpoint of a training holds the adapter and two moments of AdamW

Tokens = Callable[[list[str]], list[int]]


@dataclass(frozen=True)
class Shape:
    """The shape of a decoder with gated feed-forward layers, as Qwen2 and Llama have them."""

    architecture: str
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    begin_tokens: int  # that the tokenizer puts before every text

    def projections(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each projection of a layer."""
        hidden, inner = self.hidden_size, self.intermediate_size
        queries, keys = self.heads * self.head_size, self.key_value_heads * self.head_size
        return {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    def parameters(self) -> int:
        """Parameters of the model: projections, biases of Qwen2's queries, keys and values, norms, embeddings."""
        shapes = self.projections()
        layer = sum(a * b for a, b in shapes.values()) + 2 * self.hidden_size
        if self.architecture == "qwen2":
            layer += sum(shapes[name][1] for name in ("q_proj", "k_proj", "v_proj"))
        embeddings = self.vocabulary * self.hidden_size * (1 if self.tied else 2)
        return self.layers * layer + self.hidden_size + embeddings

    def adapter_parameters(self, rank: int, targets: list[str]) -> int:
        """Parameters of a LoRA adapter: rank x (inputs + outputs) of each targeted projection."""
        return self.layers * sum(rank * sum(self.projections()[name]) for name in targets)


@dataclass(frozen=True)
class Base:
    """A base model: its shape, where that is from, its files' folder where they are here, and its gate on the hub."""

    shape: Shape
    source: str
    folder: Path | None
    gated: bool


@cache
def known() -> pd.DataFrame:
    """The shapes of models of the hub, by repository."""
    return pd.read_csv(FILE).set_index("repo")


def base_of(model: dict[str, Any], pretraining: dict[str, Any], handle: Path) -> Base:
    """What a plan knows of a base model of the config; `handle` is where its base.json is once it is fetched."""
    folder = folder_of(model, handle)
    gated = bool(model["source"] == "hub" and model["repo"] in known().index and known().loc[model["repo"], "gated"])
    if model["source"] == "pretrain":
        return Base(_pretrained(model, pretraining), "the config", folder, False)
    if folder is not None and (folder / "config.json").is_file():
        return Base(
            _configured(read_json(folder / "config.json", "a model's config")), "its config.json", folder, gated
        )
    repo = model.get("repo", "")
    if repo in known().index:
        return Base(_listed(repo), FILE.name, folder, gated)
    return Base(_listed(STAND_IN), f"not known, taken for {STAND_IN}", folder, gated)


def folder_of(model: dict[str, Any], handle: Path) -> Path | None:
    """The folder of a model's files, as far as they are here: named by its handle, by the config, or in the hub's cache."""
    if handle.is_file():
        path = Path(read_json(handle, "the handle of a base model").get("path", "."))
        return path if path.is_absolute() else handle.parent / path
    if model["source"] == "folder":
        return Path(model["path"]).expanduser()
    if model["source"] == "hub":
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model["repo"], "config.json", revision=model["revision"])
        return Path(found).parent if isinstance(found, str) else None
    return None


def handle_of(results: Path, seed: int, name: str) -> Path:
    """Where the handle of a model is, in results/<study>."""
    return results / result_paths.base(seed, name)


def tokenizer_of(base: Base) -> Tokens | None:
    """How many tokens each of some texts has, without special ones; None where the tokenizer's files are not here."""
    if base.folder is None or not (base.folder / "tokenizer.json").is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base.folder / "tokenizer.json"))
    return lambda texts: [len(found) for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _pretrained(model: dict[str, Any], pretraining: dict[str, Any]) -> Shape:
    return Shape(
        model["architecture"],
        model["hidden_size"],
        model["intermediate_size"],
        model["layers"],
        model["heads"],
        model["key_value_heads"],
        model["hidden_size"] // model["heads"],
        pretraining["vocabulary"],
        True,
        int(model["architecture"] == "llama"),
    )


def _configured(config: dict[str, Any]) -> Shape:
    heads = config["num_attention_heads"]
    return Shape(
        config["model_type"],
        config["hidden_size"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        heads,
        config.get("num_key_value_heads") or heads,
        config.get("head_dim") or config["hidden_size"] // heads,
        config["vocab_size"],
        bool(config.get("tie_word_embeddings", False)),
        int(config["model_type"] == "llama"),
    )


def _listed(repo: str) -> Shape:
    row = known().loc[repo]
    return Shape(
        row["architecture"],
        *(int(row[name]) for name in ("hidden_size", "intermediate_size", "layers", "heads", "key_value_heads")),
        int(row["head_size"]),
        int(row["vocabulary"]),
        bool(row["tied"]),
        int(row["begin_tokens"]),
    )
