"""Ranks: the processes of one training, one per GPU. The functions here tell a rank about itself and about the others."""

import os
from pathlib import Path
from typing import Any

FOLDER = "GRADUAL_RANKS_FOLDER"  # environment variable: the folder that the launcher and its ranks share
NOTICE = "notice"  # a file in this folder: the launcher has received SIGTERM

told: list[int] = []  # the SIGTERMs that this process has received


def rank() -> int:
    """The number of this process among the ranks, from 0."""
    return int(os.environ.get("RANK", "0"))


def ranks() -> int:
    """The number of ranks. It is 1 for a process without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launched() -> bool:
    """Whether this process is a rank that `workflow.launching.launch` started."""
    return FOLDER in os.environ


def noticed() -> bool:
    """Whether this process, or the launcher of its ranks, has received SIGTERM."""
    return bool(told) or (launched() and (Path(os.environ[FOLDER]) / NOTICE).exists())


def any_rank(flag: bool, device: Any) -> bool:
    """Whether the flag is set on any rank. Every rank must call this. `device` is the torch device of this rank."""
    import torch

    if not torch.distributed.is_initialized():
        return flag
    flags = torch.tensor([int(flag)], device=device)
    torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return bool(flags.item())


def from_first(value: Any) -> Any:
    """The value of the first rank. Every rank must call this."""
    import torch

    values = [value]
    if torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(values, src=0)
    return values[0]
