"""The memory that the transformers engine may take for keys and values."""

import os
from pathlib import Path
from typing import Any

from gradual.probe.answers import Deployment

RUNNING = 700 * 2**20  # bytes that Python and the libraries take on a CPU
# Of the memory beside the weights, the share for the keys and values of the prompts of a wave. Those of its answers may
# take as much. The rest is for copies, activations and logits.
SHARE = 0.35
LEAST = 2**10  # tokens; a wave has at least one fact in any case
LIMITS = (  # of a group of processes, in files of cgroups
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def token_bytes(model: Any) -> int:
    """Bytes of the keys and values of a token, in all layers."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = (getattr(config, "num_key_value_heads", None) or heads) * size
    return 2 * config.num_hidden_layers * keys * model.dtype.itemsize


def held_tokens(model: Any, deployment: Deployment) -> int:
    """How many tokens of a wave's prompts have room for their keys and values in the memory of the model's device."""
    import torch

    if model.device.type == "cuda":
        free, total = torch.cuda.mem_get_info(model.device)
        left = free - int((1 - deployment.memory_share) * total)
    else:
        weights = sum(parameter.numel() * parameter.itemsize for parameter in model.parameters())
        left = (deployment.memory or memory_here()) - weights - RUNNING
    return max(LEAST, int(SHARE * left) // token_bytes(model))


def memory_here() -> int:
    """Bytes of memory that a scheduler gives this job; without one, those of the machine."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits += [2**20 * int(os.environ[name]) for name in ("SLURM_MEM_PER_NODE",) if os.environ.get(name, "").isdigit()]
    for file in LIMITS:
        text = file.read_text().strip() if file.is_file() else ""
        limits += [int(text)] if text.isdigit() else []
    return min(limit for limit in limits if limit > 0)
