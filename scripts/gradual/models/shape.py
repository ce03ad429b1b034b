"""The shape of a model, and the numbers of parameters that follow from it.

They are exact for the architectures of Llama and Qwen2. A model of another one is counted as a Llama of its size.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradual.models.folder import SIZES, text_config

TIED = ("gemma", "gemma2", "gemma3_text", "gpt2")  # their weights are tied unless the config says otherwise
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Shape:
    """The sizes of a model; `head_size` is the width of one attention head."""

    architecture: str
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    tied: bool

    @property
    def queries(self) -> int:
        """Width of the queries over all heads."""
        return self.heads * self.head_size

    @property
    def keys(self) -> int:
        """Width of the keys over all their heads; that of the values is the same."""
        return self.key_value_heads * self.head_size

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """Input and output width of each projection of a layer, by its name in LoRA's targets."""
        hidden, inner = self.hidden_size, self.intermediate_size
        return {
            "q_proj": (hidden, self.queries),
            "k_proj": (hidden, self.keys),
            "v_proj": (hidden, self.keys),
            "o_proj": (self.queries, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    @property
    def parameters(self) -> int:
        """Parameters of the whole model: projections, norms, embeddings, and biases of Qwen2's queries, keys and values."""
        biases = self.queries + 2 * self.keys if self.architecture == "qwen2" else 0
        layer = sum(a * b for a, b in self.projections.values()) + biases + 2 * self.hidden_size
        embeddings = self.vocabulary * self.hidden_size * (1 if self.tied else 2)
        return self.layers * layer + self.hidden_size + embeddings

    def adapter_parameters(self, rank: int, targets: Iterable[str]) -> int:
        """Parameters of a LoRA adapter: rank x (inputs + outputs) of each targeted projection."""
        return self.layers * sum(rank * sum(self.projections[name]) for name in self.targeted(targets))

    def targeted(self, targets: Iterable[str]) -> list[str]:
        """The projections that LoRA's targets name. Names of other architectures and `all-linear` stand for all of them."""
        named = [*targets]
        return named if {*named} <= {*self.projections} else [*self.projections]


def has_shape(config: Mapping[str, Any]) -> bool:
    """Whether a model's config.json names all sizes that its shape needs."""
    return {*SIZES} <= {*text_config(config)}


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a model's config.json describes, if it `has_shape`."""
    config = text_config(config)
    heads = config["num_attention_heads"]
    return Shape(
        architecture=config["model_type"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        key_value_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or config["hidden_size"] // heads,
        vocabulary=config["vocab_size"],
        tied=bool(config.get("tie_word_embeddings", config["model_type"] in TIED)),
    )
