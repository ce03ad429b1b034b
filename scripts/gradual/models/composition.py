"""LoRA adapters made of others: one adapter times a factor, and the weighted sum of several as one adapter.

Both are exact but for rounding. An adapter changes a weight by alpha / rank * B A. So a factor goes into B. For a sum, the
matrices A are stacked, and beside them the matrices B, each with its weight and its own alpha / rank. The result is a
plain LoRA adapter, which every engine loads.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import read_json, write_atomically, write_json
from gradual.models.adapters import ADAPTER_FILES, check_adapter

CONFIG, WEIGHTS = ADAPTER_FILES
FIRST, SECOND = ".lora_A.weight", ".lora_B.weight"  # the ends of the names of A and B, by peft
# The keys of a plain adapter's config. peft has many others, such as use_rslora and use_dora. With one of them, an adapter
# changes a weight otherwise.
PLAIN = {
    "peft_type", "task_type", "base_model_name_or_path", "peft_version", "inference_mode", "auto_mapping", "revision",
    "r", "lora_alpha", "lora_dropout", "bias", "target_modules", "exclude_modules", "layers_to_transform",
    "layers_pattern", "fan_in_fan_out", "init_lora_weights", "megatron_core", "qalora_group_size",
}  # fmt: skip


def scaled_adapter(source: Path, target: Path, factor: float) -> None:
    """Write to the folder `target` the adapter of the folder `source` times a factor, which may be negative.

    Raises InputError where the adapter is broken or is not plain LoRA.
    """
    config, tensors = _plain(source)
    _write(target, config, {n: t * factor if n.endswith(SECOND) else t for n, t in tensors.items()})


def composed_adapter(sources: Sequence[Path], weights: Sequence[float], target: Path) -> None:
    """Write to the folder `target` the sum of the adapters of the folders `sources`, each times its weight.

    Its rank is the sum of their ranks, which may differ, and its alpha is its rank. Raises InputError where an adapter is
    broken or is not plain LoRA, or where the adapters do not change the same weights.
    """
    import torch

    parts = [_plain(source) for source in sources]
    config, named = parts[-1][0], {*parts[0][1]}
    for source, (_, tensors) in zip(sources, parts, strict=True):
        if other := sorted(named.symmetric_difference(tensors)):
            expected = f"an adapter of the same weights as that in {sources[0]} (the same training.targets)"
            raise InputError(source / WEIGHTS, "has weights of other modules", expected, key=other[0])
    factors = [w * c["lora_alpha"] / c["r"] for w, (c, _) in zip(weights, parts, strict=True)]
    composed = {}
    for name in sorted(named):
        if name.endswith(FIRST):
            composed[name] = torch.cat([tensors[name] for _, tensors in parts], dim=0)
        else:
            scaled = [tensors[name] * factor for factor, (_, tensors) in zip(factors, parts, strict=True)]
            composed[name] = torch.cat(scaled, dim=1)
    rank = sum(c["r"] for c, _ in parts)
    _write(target, config | {"r": rank, "lora_alpha": rank}, composed)


def _plain(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config and the tensors of an adapter. Raises InputError where it is broken or is not plain LoRA."""
    from safetensors.torch import load_file

    expected = "an adapter as train_adapter writes it (plain LoRA, with a rank, an alpha, and A and B for each module)"
    names = check_adapter(folder)
    config = read_json(folder / CONFIG, "an adapter's config")
    wrong = [key for key in sorted(config) if config[key] and key not in PLAIN]
    wrong += [key for key in ("bias",) if config.get(key, "none") != "none"]
    wrong += [key for key in ("r", "lora_alpha") if not (isinstance(config.get(key), int | float) and config[key] > 0)]
    for key in wrong:
        raise InputError(folder / CONFIG, f"is {config.get(key)!r}", expected, key=key)
    tensors = load_file(folder / WEIGHTS)
    for name in sorted(names):
        if not name.endswith((FIRST, SECOND)):
            raise InputError(folder / WEIGHTS, "is neither A nor B of a linear module", expected, key=name)
        other = name.removesuffix(FIRST) + SECOND if name.endswith(FIRST) else name.removesuffix(SECOND) + FIRST
        ranks = tensors[name].shape[0 if name.endswith(FIRST) else 1]
        if other not in tensors or tensors[name].ndim != 2 or ranks != config["r"]:
            problem = f"has the shape {list(tensors[name].shape)}" if other in tensors else f"stands without {other}"
            raise InputError(folder / WEIGHTS, problem, f"{expected} of the rank {config['r']}", key=name)
    return config, tensors


def _write(folder: Path, config: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Write an adapter's files, each whole or not at all."""
    from safetensors.torch import save_file

    with write_atomically(folder / WEIGHTS) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata={"format": "pt"})
    write_json(config, folder / CONFIG)


def read_weights(handle: Path) -> dict[str, float]:
    """The weights of the states in a composition, from its handle; the last one is that of the state that trained upon it.

    Raises InputError where the handle is broken.
    """
    named = read_json(handle, "the handle of a composition")
    weights = named.get("weights") if isinstance(named, dict) else None
    if (
        not isinstance(weights, dict)
        or not weights
        or not all(isinstance(w, float) and w > 0 for w in weights.values())
    ):
        raise InputError(handle, "is broken", "a handle as compose_adapters writes it", key="weights")
    return weights
