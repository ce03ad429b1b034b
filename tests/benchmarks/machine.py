"""What the machine could do at best: the rate of its matrix products at a model's shapes, and what a model needs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gradual.models.handle import model_folder

PRODUCTS = "matrix products"  # in the place of a way
PRODUCTS_SECONDS = 0.3


def count_rows(module: Any) -> Callable[[], int]:
    """Ask how many positions have gone through a module of a model so far, in whichever thread."""
    seen: list[int] = []

    def add(_: Any, __: Any, output: Any) -> None:
        seen.append(output.shape[:-1].numel())

    module.register_forward_hook(add)
    return lambda: sum(seen)


def products(base: Path, dtype: str, rows: int) -> Callable[[], float]:
    """A measurement of the rate (GFLOP/s) of the products of `rows` positions with each linear layer of a base model."""
    import torch
    from torch.nn import Linear
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(model_folder(base))
    kind = getattr(torch, dtype) if dtype != "auto" else config.dtype or torch.float32
    with torch.device("meta"):
        layers = [m for m in AutoModelForCausalLM.from_config(config).modules() if isinstance(m, Linear)]
    shapes = [tuple(layer.weight.shape) for layer in layers]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    weights = {shape: torch.randn(shape, dtype=kind, device=device) for shape in set(shapes)}
    inputs = {width: torch.randn(rows, width, dtype=kind, device=device) for width in {i for _, i in shapes}}
    operations = 2 * rows * sum(a * b for a, b in shapes)

    def measure() -> float:
        repeated, begun = 0, time.perf_counter()
        with torch.inference_mode():
            while repeated == 0 or time.perf_counter() - begun < PRODUCTS_SECONDS:
                for shape in shapes:
                    result = torch.mm(inputs[shape[1]], weights[shape].T)
                float(result[0, 0])  # waits for a GPU
                repeated += 1
        return repeated * operations / (time.perf_counter() - begun) / 1e9

    return measure


def product_rates(base: Path, dtype: str, sizes: Sequence[int]) -> dict[int, Callable[[int], float]]:
    """The measurements for several numbers of rows, as ways that repetitions take in turns."""

    def way(rows: int) -> Callable[[int], float]:
        measure = products(base, dtype, rows)
        return lambda repetition: measure()

    return {rows: way(rows) for rows in sizes}
