"""Double precision for what rounding in float32 could decide.

Processors round differently. So near the border of two tokens, one of them would choose another token than the next one.
"""

from typing import Any


def in_double() -> Any:
    """A context in which torch computes in float64 what it would compute in float32.

    A weight is converted each time it is used, so that never all are held twice.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_map

    def doubled(value: Any) -> Any:
        if value is torch.float32:
            return torch.float64
        return value.double() if isinstance(value, torch.Tensor) and value.dtype == torch.float32 else value

    class InDouble(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            args, kwargs = tree_map(doubled, (args, kwargs or {}))
            return (_grouped_mm if func is torch.ops.aten._grouped_mm.default else func)(*args, **kwargs)

    return InDouble()


def _grouped_mm(rows: Any, matrices: Any, offs: Any) -> Any:
    """What torch computes in lower precision alone: the rows (R, k) of each group times its matrix (k, n): (R, n).

    `offs` (groups,) are the ends of the groups in the rows.
    """
    import torch

    return torch.cat(
        [part @ matrix for part, matrix in zip(rows.tensor_split(offs[:-1].tolist()), matrices, strict=True)]
    )
