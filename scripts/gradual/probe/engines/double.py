"""Double precision where rounding in float32 could decide.

Near the border of two tokens, two processors may choose different tokens, because they round differently.
"""

from functools import cache
from typing import Any


def in_double() -> Any:
    """A context in which torch computes in float64 what it would compute in float32.

    A weight is converted each time it is used, so the model is never in memory twice. An operation that changes a float32
    tensor of before in place raises RuntimeError, because it would change a copy.
    """
    return _mode()()


@cache
def _mode() -> Any:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_any, tree_map

    def single(value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.dtype == torch.float32

    def doubled(value: Any) -> Any:
        if value is torch.float32:
            return torch.float64
        return value.double() if single(value) else value

    class InDouble(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func._schema.is_mutable and tree_any(single, args[:1]):
                raise RuntimeError(f"{func} changes a float32 tensor in place")
            args, kwargs = tree_map(doubled, (args, kwargs or {}))
            # A new tensor without a type, such as zeros, is float32 too.
            return tree_map(
                doubled, (_grouped_mm if func is torch.ops.aten._grouped_mm.default else func)(*args, **kwargs)
            )

    return InDouble


def _grouped_mm(rows: Any, matrices: Any, offs: Any, bias: Any = None, out_dtype: Any = None) -> Any:
    """The rows (R, k) of each group times its matrix (k, n): (R, n). torch has this product in lower precision only.

    `offs` (groups,) are the ends of the groups in the rows.
    """
    import torch

    found = torch.cat(
        [part @ matrix for part, matrix in zip(rows.tensor_split(offs[:-1].tolist()), matrices, strict=True)]
    )
    return found if bias is None else found + bias
