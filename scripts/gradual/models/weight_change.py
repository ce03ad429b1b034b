"""How far the adapters of a state move the weights of its base model."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from gradual.ground.files import read_json
from gradual.models.adapters import ADAPTER_FILES
from gradual.models.composition import FIRST, SECOND

CONFIG, WEIGHTS = ADAPTER_FILES


def change_norm(adapters: Sequence[Path]) -> float:
    """The Frobenius norm of the sum of the adapters' changes, over all weights; `adapters` are folders of plain LoRA.

    An adapter changes a weight by alpha / rank * B A. With the matrices of all adapters stacked, the square of the norm is
    the sum of the products of the entries of B'B and A A'. So no matrix of the size of the weight is made.
    """
    from safetensors import safe_open

    square = 0.0
    with ExitStack() as stack:
        parts = []
        for folder in adapters:
            config = read_json(folder / CONFIG, "an adapter's config")
            tensors = stack.enter_context(safe_open(folder / WEIGHTS, framework="numpy"))
            parts.append((tensors, {*tensors.keys()}, config["lora_alpha"] / config["r"]))
        modules = {name.removesuffix(FIRST) for _, names, _ in parts for name in names if name.endswith(FIRST)}
        for module in sorted(modules):
            here = [(tensors, factor) for tensors, names, factor in parts if module + FIRST in names]
            first = np.concatenate([tensors.get_tensor(module + FIRST) for tensors, _ in here], axis=0, dtype=float)
            second = [factor * tensors.get_tensor(module + SECOND).astype(float) for tensors, factor in here]
            stacked = np.concatenate(second, axis=1)
            square += float(((stacked.T @ stacked) * (first @ first.T)).sum())
    return math.sqrt(max(square, 0.0))
