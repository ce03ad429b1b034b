"""The same weights from a pretraining on every x86-64 processor with AVX2: Intel's or AMD's, with AVX-512 or without.

Pretraining amplifies rounding, so that another order of additions acts like another seed. Three things make the order
the same everywhere. The instructions are AVX2's. The matrix products are numpy's, because its OpenBLAS can be told to use
the kernel of one processor on all of them, and MKL in torch cannot. And there is one thread, and no GPU.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# The libraries read these variables once, while they are imported.
ENVIRONMENT: Mapping[str, str] = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


def start_again_with_equal_bits() -> None:
    """Start this process again with ENVIRONMENT, unless it has it."""
    if not os.environ.items() >= ENVIRONMENT.items():
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)


def _matmul(left: Any, right: Any) -> Any:
    import numpy as np
    import torch

    return torch.from_numpy(np.matmul(left.detach().numpy(), right.detach().numpy()))


def _addmm(added: Any, left: Any, right: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    import torch

    return torch.add(added if beta == 1 else beta * added, _matmul(left, right), alpha=alpha)


@contextmanager
def equal_products() -> Iterator[None]:
    """Within the context, numpy computes the matrix products of float32 tensors on the CPU, also those of gradients."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.library._scoped_library("aten", "IMPL") as products, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning only once for all operators")  # that these replace others
        for name, product in (("mm", _matmul), ("bmm", _matmul), ("addmm", _addmm)):
            products.impl(name, product, "CPU")
        try:
            yield
        finally:
            torch.set_num_threads(threads)
