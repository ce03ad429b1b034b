"""The folder of a base model: which files belong to it, and whether they are a model that can be used as it stands.

A folder is refused if the libraries would make something else of it than its weights say: an adapter that they would add,
weights that they would leave out or take twice, and values in config.json that they would replace by others.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import read_json

ARCHITECTURES = ("llama", "qwen2")  # their config.json must name all SIZES; that of others may
HANDLE = "base.json"
INDEX = "model.safetensors.index.json"
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "additional_chat_templates/*.jinja")
OTHERS = (
    HANDLE,
    "consolidated*.safetensors",
)  # the handle beside a model, and weights in a format that nothing here reads
ADAPTER = "adapter_config.json"
QUANTISED = ("quantization_config", "compression_config")  # keys of config.json
QUANTISED_FILES = ("quantize_config.json", "quant_config.json")
SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
FURTHER_SIZES = ("max_position_embeddings", "num_key_value_heads", "head_dim")
DEFAULTED = ("num_key_value_heads", "head_dim")  # null is as good as none
GPT2_NAMES = {
    "n_embd": "hidden_size", "n_inner": "intermediate_size", "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads", "n_positions": "max_position_embeddings",
}  # fmt: skip
TYPES = ("F64", "F32", "F16", "BF16")  # of weights, as safetensors names them
BLOCK, BLOCKS = 2**14, 2**10  # bytes of a part of a file, and parts of a large file


def model_files(folder: Path) -> list[Path]:
    """The files that belong to the model in a folder, sorted; also links whose file is gone."""
    found = {file for pattern in PATTERNS for file in folder.glob(pattern) if not file.is_dir()}
    return sorted(file for file in found if not any(file.match(other) for other in OTHERS))


@cache
def content(folder: Path, files: tuple[Path, ...] = ()) -> str:
    """A digest of the names, the sizes and the contents of a model's files, or of these files. Dates do not count.

    It reads 16 MB of each larger file, in equal distances, so that it is quick for large weights.
    """
    found = sha256()
    for file in files or model_files(folder):
        size = file.stat().st_size if file.is_file() else 0
        found.update(f"{file.relative_to(folder)} {size}\n".encode())
        if size:
            with file.open("rb") as parts:
                for start in range(0, size, max(BLOCK, size // BLOCKS)):
                    parts.seek(start)
                    found.update(parts.read(BLOCK))
    return found.hexdigest()


def check_model_folder(folder: Path, names: list[str]) -> None:
    """Raise InputError unless the named files of the folder are one whole model: a config, a tokenizer and weights."""
    for name in names:
        if not (folder / name).is_file():
            raise InputError(folder / name, "is not a file (or is a link whose file is gone)", "a model's file")
    for needed in ("config.json", "tokenizer.json"):
        if needed not in names:
            expected = "a model folder as `save_pretrained` writes it, with safetensors weights (or a gguf_file)"
            raise InputError(folder, f"has no {needed}", expected)
    for name in sorted({"tokenizer.json", "tokenizer_config.json", INDEX} & {*names}):
        _read_object(folder / name)
    check_config(folder / "config.json")
    if quantised := {*names}.intersection(QUANTISED_FILES):
        raise _quantised(folder / min(quantised))
    if ADAPTER in names:  # transformers would add the adapter to the weights
        expected = "weights alone (merge the adapter into them and save them without it, or remove it)"
        raise InputError(folder / ADAPTER, "is an adapter beside a model's weights", expected)
    _check_weights(folder, {name for name in names if name.endswith(".safetensors")}, INDEX in names)


def check_config(file: Path) -> dict[str, Any]:
    """The values of a model's config.json. Raises InputError where sizes are wrong or the weights are quantised."""
    config = _read_object(file)
    if not isinstance(config.get("model_type"), str):
        raise InputError(file, f"is {config.get('model_type')!r}", "the name of an architecture", key="model_type")
    if config.get("transformers_weights") is not None:
        raise InputError(file, "names other weights", f"none, because {INDEX} does", key="transformers_weights")
    for key in QUANTISED:
        if config.get(key) is not None:
            raise _quantised(file, key)
    for key in (*SIZES, *FURTHER_SIZES):
        value = config.get(key)
        needed = key in config if key not in SIZES else key in config or config["model_type"] in ARCHITECTURES
        if needed and not (value is None and key in DEFAULTED) and (type(value) is not int or value < 1):
            raise InputError(file, f"is {value!r}", "a whole number of 1 or more", key=key)
    if config["model_type"] in ARCHITECTURES:
        heads, groups = config["num_attention_heads"], config.get("num_key_value_heads")
        if heads % (groups or heads):
            raise InputError(file, f"is {groups}", f"a divisor of the {heads} heads", key="num_key_value_heads")
        if not config.get("head_dim") and config["hidden_size"] % heads:
            problem, expected = f"is {heads}", f"a divisor of the hidden_size {config['hidden_size']} (or a head_dim)"
            raise InputError(file, problem, expected, key="num_attention_heads")
    return config


def text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json says of the model's text part, with Llama's names of the sizes.

    A model that also reads images has a part for the text (`text_config`). GPT-2 has names of its own, and its feed-forward
    layers are four times as wide as the model unless it says otherwise.
    """
    found = {"model_type": config["model_type"], **(config.get("text_config") or config)}
    for name, common in GPT2_NAMES.items():
        if name in found:
            found.setdefault(common, found[name])
    if "n_embd" in found and not found.get("intermediate_size"):
        found["intermediate_size"] = 4 * found["n_embd"]
    return found


def _read_object(file: Path) -> dict[str, Any]:
    """The values of a model's JSON file. Raises InputError where it has none."""
    found = read_json(file, "a model's file")
    if not isinstance(found, dict):
        raise InputError(file, "is not a JSON object", "a model's file as `save_pretrained` writes it")
    return found


def _quantised(file: Path, key: str | None = None) -> InputError:
    """The error about weights that cannot be trained and merged as they are."""
    problem = "shows that the weights are quantised (bitsandbytes, AWQ, GPTQ, FP8 or others)"
    return InputError(file, problem, "the model that they were made from, in bfloat16, float16 or float32", key=key)


def _check_weights(folder: Path, held: set[str], indexed: bool) -> None:
    """Raise InputError unless the safetensors files `held` are exactly those of one model, each tensor in one of them."""
    if not any(name.startswith("model") for name in held):
        expected = "model.safetensors or its shards with an index (not pickled weights; a GGUF file: gguf_file)"
        raise InputError(folder, "has no safetensors weights", expected)
    names = {name: _tensors(folder / name) for name in sorted(held)}
    index = _read_object(folder / INDEX).get("weight_map") if indexed else None
    if indexed and not (isinstance(index, Mapping) and index and all(isinstance(f, str) for f in index.values())):
        raise InputError(folder / INDEX, "names no weights", "the file of each tensor", key="weight_map")
    wanted = {*index.values()} if index else {"model.safetensors"}
    if missing := sorted(wanted - held):
        raise InputError(folder / missing[0], "is missing", f"all weights of the model ({', '.join(sorted(wanted))})")
    if extra := sorted(held - wanted):
        expected = f"no weights beside those of the model ({', '.join(sorted(wanted))})"
        raise InputError(folder / extra[0], "is not among the weights that are loaded", expected)
    if index:
        there = {(tensor, name) for name, tensors in names.items() for tensor in tensors}
        if others := sorted(there.symmetric_difference(index.items())):
            tensor, name = others[0]
            said = "has a tensor that the index does not name there" if others[0] in there else "lacks a tensor"
            raise InputError(folder / name, said, f"the tensors of {INDEX}, each in one file", key=tensor)


def _tensors(file: Path) -> list[str]:
    """The names of a safetensors file's tensors. Raises InputError unless the file is whole and its weights are floats."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            types = {name: tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(file, f"cannot be read ({error})", "a whole safetensors file") from error
    for name, kind in types.items():
        if name.endswith(".weight") and kind not in TYPES:  # buffers may have other types
            raise _quantised(file, name)
    return list(types)
