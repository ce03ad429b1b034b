"""The weights of a GGUF file as those of a model of transformers: its config, and its tensors in floating point.

llama.cpp has other names for the tensors. It stores the queries and keys of a llama in another order of their rows, because
it rotates neighbouring elements, where transformers rotates one half of a head against the other.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradual.ground.errors import InputError
from gradual.models.gguf_file import GgufFile

Array = np.ndarray[Any, np.dtype[Any]]
SAFETENSORS_TYPES = {"float32": "F32", "bfloat16": "BF16"}
BYTES = {"float32": 4, "bfloat16": 2}
PART = 2**22  # values that are rounded and written at once


@dataclass(frozen=True)
class Architecture:
    """What an architecture has that others do not have."""

    model: str  # the class in transformers
    constants: Mapping[str, Any]  # of config.json, which GGUF files do not have
    reordered: bool = False  # whether llama.cpp stores the rows of queries and keys in its own order
    biases: bool = False  # of queries, keys and values
    head_norms: bool = False  # of queries and keys


PLAIN = {"hidden_act": "silu", "attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": True}
NO_WINDOW = {"use_sliding_window": False, "sliding_window": None}
ARCHITECTURES = {
    "llama": Architecture("LlamaForCausalLM", PLAIN | {"attention_bias": False, "mlp_bias": False}, reordered=True),
    "qwen2": Architecture("Qwen2ForCausalLM", PLAIN | NO_WINDOW, biases=True),
    "qwen3": Architecture("Qwen3ForCausalLM", PLAIN | NO_WINDOW | {"attention_bias": False}, head_norms=True),
}
# The settings of an architecture that the conversion takes over. It refuses all others, because they change the model.
SETTINGS = {
    *"block_count context_length embedding_length feed_forward_length vocab_size rope.dimension_count".split(),
    *"rope.freq_base attention.head_count attention.head_count_kv attention.key_length".split(),
    *"attention.value_length attention.layer_norm_rms_epsilon".split(),
}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model: its name in transformers, its shape, and the heads by which its rows are ordered anew."""

    name: str
    shape: tuple[int, ...]
    reordered: int = 0


def model_config(gguf: GgufFile, dtype: str) -> dict[str, Any]:
    """The model's config.json. Raises InputError for an architecture or a setting that the conversion does not know."""
    name = gguf.need("general.architecture", str)
    if name not in ARCHITECTURES:
        expected = f"{' or '.join(ARCHITECTURES)}, or the model as a folder with safetensors weights"
        raise InputError(gguf.path, f"has the architecture {name!r}", expected, key="general.architecture")
    kept = {f"{name}.{key}" for key in SETTINGS}
    if unknown := sorted(key for key in gguf.settings if key.startswith(f"{name}.") and key not in kept):
        problem = "the conversion does not know this setting, which may change the model"
        raise InputError(gguf.path, problem, "the model as a folder with safetensors weights", key=unknown[0])
    size = {key: gguf.get(f"{name}.{key}", int) for key in SETTINGS if "rope.freq" not in key and "epsilon" not in key}
    for key in ("block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count"):
        gguf.need(f"{name}.{key}", int)
    for key, value in size.items():
        if value is not None and value < 1:
            raise InputError(gguf.path, f"is {value}", "a whole number of 1 or more", key=f"{name}.{key}")
    heads = size["attention.head_count"]
    head = size["attention.key_length"] or size["embedding_length"] // heads
    for key in ("attention.value_length", "rope.dimension_count"):
        if (size[key] or head) != head:
            problem, expected = f"is {size[key]}", f"{head}, the size of a head, as transformers has it"
            raise InputError(gguf.path, problem, expected, key=f"{name}.{key}")
    ids = {key: _token_id(gguf, key) for key in ("bos", "eos", "padding")}
    return {
        "architectures": [ARCHITECTURES[name].model],
        "model_type": name,
        "dtype": dtype,
        "vocab_size": _rows(gguf, name, size["vocab_size"]),
        "hidden_size": size["embedding_length"],
        "intermediate_size": size["feed_forward_length"],
        "num_hidden_layers": size["block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": size["attention.head_count_kv"] or heads,
        "head_dim": head,
        "max_position_embeddings": size["context_length"],
        "rms_norm_eps": _decimal(gguf.need(f"{name}.attention.layer_norm_rms_epsilon", float)),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": _decimal(gguf.get(f"{name}.rope.freq_base", float, 10000.0)),
        },
        "tie_word_embeddings": "output.weight" not in gguf.tensors,
        "bos_token_id": ids["bos"],
        "eos_token_id": ids["eos"],
        "pad_token_id": ids["padding"],
        **ARCHITECTURES[name].constants,
    }


def _token_id(gguf: GgufFile, key: str) -> int | None:
    found: int | None = gguf.get(f"tokenizer.ggml.{key}_token_id", int)
    return found


def _rows(gguf: GgufFile, name: str, said: int | None) -> int:
    """The rows of the embedding."""
    if "token_embd.weight" not in gguf.tensors:
        raise InputError(gguf.path, "has no embedding", "all weights of a model", key="token_embd.weight")
    rows = int(gguf.tensors["token_embd.weight"].shape[-1])
    if (said or rows) != rows:
        raise InputError(gguf.path, f"is {said}", f"{rows}, the rows of the embedding", key=f"{name}.vocab_size")
    return rows


def _decimal(value: float) -> float:
    """The shortest decimal number with the same float32: 1e-05 for 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def model_tensors(gguf: GgufFile, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of the model, by their names in the file. Raises InputError unless the file has exactly these."""
    kind = ARCHITECTURES[config["model_type"]]
    hidden, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    shapes: dict[str, tuple[int, ...]] = {
        "attn_norm.weight": (hidden,),
        "attn_q.weight": (heads * head, hidden),
        "attn_k.weight": (groups * head, hidden),
        "attn_v.weight": (groups * head, hidden),
        "attn_output.weight": (hidden, heads * head),
        "ffn_norm.weight": (hidden,),
        "ffn_gate.weight": (inner, hidden),
        "ffn_up.weight": (inner, hidden),
        "ffn_down.weight": (hidden, inner),
    }
    if kind.biases:
        shapes |= {f"{name}.bias": shapes[f"{name}.weight"][:1] for name in ("attn_q", "attn_k", "attn_v")}
    if kind.head_norms:
        shapes |= dict.fromkeys(("attn_q_norm.weight", "attn_k_norm.weight"), (head,))
    order = {"attn_q.weight": heads, "attn_k.weight": groups} if kind.reordered else {}
    table = (config["vocab_size"], hidden)
    found = {"token_embd.weight": Tensor("model.embed_tokens.weight", table)}
    for layer in range(config["num_hidden_layers"]):
        for name, shape in shapes.items():
            part, _, suffix = name.partition(".")
            full = f"model.layers.{layer}.{LAYER[part]}.{suffix}"
            found[f"blk.{layer}.{name}"] = Tensor(full, shape, order.get(name, 0))
    found["output_norm.weight"] = Tensor("model.norm.weight", (hidden,))
    if not config["tie_word_embeddings"]:
        found["output.weight"] = Tensor("lm_head.weight", table)
    for name in sorted(gguf.tensors.keys() ^ found.keys()):
        said = "lacks a tensor of its architecture" if name in found else "has a tensor that its architecture lacks"
        raise InputError(gguf.path, said, f"exactly the tensors of a {config['model_type']}", key=name)
    for name, tensor in found.items():
        if (shape := tuple(map(int, reversed(gguf.tensors[name].shape)))) != tensor.shape:
            raise InputError(gguf.path, f"has the shape {shape}", f"{tensor.shape}, as its settings say", key=name)
    return found


def write_weights(gguf: GgufFile, tensors: Mapping[str, Tensor], dtype: str, file: Path) -> None:
    """Write the tensors as safetensors in `dtype`, one after another, so that only one is in memory.

    The same file gives the same bytes. Raises InputError for a type that cannot be dequantised and for weights that are not
    finite.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for tensor in tensors.values():
        end = start + BYTES[dtype] * int(np.prod(tensor.shape, dtype=np.int64))
        header[tensor.name] = {
            "dtype": SAFETENSORS_TYPES[dtype],
            "shape": [*tensor.shape],
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns what follows the header
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for values in _values(gguf, tensors):
            row = np.ascontiguousarray(values).reshape(-1)
            for first in range(0, len(row), PART):
                part = row[first : first + PART]
                out.write((part if dtype == "float32" else _bfloat16(part)).data)


def _values(gguf: GgufFile, tensors: Mapping[str, Tensor]) -> Iterator[Array]:
    """The values of each tensor, in float32."""
    from gguf import dequantize

    for name, tensor in tensors.items():
        stored = gguf.tensors[name]
        try:
            values = dequantize(stored.data, stored.tensor_type).reshape(tensor.shape)
        except (NotImplementedError, ValueError, TypeError) as error:
            problem = f"has the type {stored.tensor_type.name}, which cannot be dequantised"
            raise InputError(gguf.path, problem, "another quantisation of the model", key=name) from error
        if not np.isfinite(values).all():
            raise InputError(gguf.path, "has weights that are not finite", "finite weights", key=name)
        yield _reordered(values, tensor.reordered) if tensor.reordered else values


def _reordered(rows: Array, heads: int) -> Array:
    """The rows of queries or keys in the order of transformers: of each head first the even rows, then the odd ones."""
    pairs = rows.reshape(heads, -1, 2, rows.shape[-1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _bfloat16(values: Array) -> Array:
    """Finite float32 rounded to the nearest bfloat16, ties to even, as the upper half of its bits."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype("<u2")
