"""Weights that do not depend on the processor."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from gradual.training.equal_bits import ENVIRONMENT, equal_products

SCRIPT = Path(__file__).parents[3] / "scripts" / "pretrain_base.py"
MODEL = {"architecture": "llama", "hidden_size": 128, "intermediate_size": 384, "layers": 1, "heads": 4}
SETTINGS = {
    "vocabulary": 400,
    "row_tokens": 128,
    "batch_rows": 4,
    "learning_rate": 4e-3,
    "min_learning_rate_ratio": 0.05,
}
SETTINGS |= {"weight_decay": 0.05, "adam_beta2": 0.98, "warmup_steps": 2}
EMULATOR = shutil.which("qemu-x86_64")


def test_products_and_their_gradients_are_numpys_within_the_context_only():
    import torch

    torch.manual_seed(0)
    shapes = {"linear": (5, 7, 33), "with bias": (64, 33), "batched": (3, 4, 9, 33)}
    rights = {"linear": (12, 33), "with bias": (12, 33), "batched": (3, 4, 33, 9)}
    for kind, shape in shapes.items():
        left, right = torch.randn(shape, requires_grad=True), torch.randn(rights[kind], requires_grad=True)
        bias = torch.randn(12, requires_grad=True) if kind == "with bias" else None

        def product(left=left, right=right, bias=bias, kind=kind):
            return left @ right if kind == "batched" else torch.nn.functional.linear(left, right, bias)

        with equal_products():
            ours = product()
            slopes = torch.autograd.grad(ours.sin().sum(), [left, right])
        theirs = product()
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        for mine, native in zip(slopes, torch.autograd.grad(theirs.sin().sum(), [left, right]), strict=True):
            torch.testing.assert_close(mine, native, rtol=1e-4, atol=1e-4)


def test_within_the_context_every_product_is_numpys(monkeypatch):
    import numpy as np
    import torch

    seen = []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *given: seen.append(1) or matmul(*given))
    layer = torch.nn.Linear(6, 5)
    with equal_products():
        layer(torch.ones(2, 6)).sum().backward()
        assert torch.get_num_threads() == 1
    assert len(seen) == 2  # of the output, and of the weight's gradient
    layer(torch.ones(2, 6))
    assert len(seen) == 2


def pretrain(folder: Path, *emulator: str) -> dict[str, bytes]:
    """The files of a model that the script pretrains, on this processor or on an emulated one."""
    folder.mkdir()
    texts = [f"Almanac\nThe home of company {i} is city {i % 7}. Its founder is {i * 13 % 101}.\n" for i in range(150)]
    pd.DataFrame({"text": texts}).to_parquet(folder / "corpus.parquet")
    options = [
        "--corpus",
        folder / "corpus.parquet",
        "--recipe",
        folder / "recipe.json",
        "--base",
        folder / "base.json",
    ]
    options += ["--model", json.dumps(MODEL | {"key_value_heads": 2}), "--settings", json.dumps(SETTINGS)]
    # The emulator starts the interpreter itself, not its link in an environment, so it is told where the packages are.
    found = {"PYTHONPATH": f"{SCRIPT.parent}:{Path(pd.__file__).parents[1]}"}
    command = [*emulator, os.path.realpath(sys.executable), SCRIPT, *options, "--seed", "3", "--code", "x"]
    environment = os.environ | found | (ENVIRONMENT if emulator else {"ATEN_CPU_CAPABILITY": "default"})
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "tokenizer.json", "loss.csv")}


@pytest.mark.skipif(EMULATOR is None, reason="qemu-x86_64 is not installed (apt-get install qemu-user)")
def test_a_pretraining_gives_equal_bits_on_an_emulated_processor_of_another_maker(tmp_path):
    other = "Haswell" if "AuthenticAMD" in Path("/proc/cpuinfo").read_text() else "EPYC-Rome"
    assert pretrain(tmp_path / "emulated", str(EMULATOR), "-cpu", other) == pretrain(tmp_path / "native")
