"""The memory that the transformers engine may take for keys and values, and for logits."""

import os
from pathlib import Path
from typing import Any

from gradual.probe.answers import Deployment

RUNNING = 700 * 2**20  # bytes that Python and the libraries take on a CPU
# Of the memory beside the weights, the share for the keys and values of the prompts of a wave. Those of its answers may
# take as much. Half of the rest is for logits, and half for other copies and activations.
SHARE, SHARE_OF_LOGITS = 0.35, 0.15
LOGIT_BYTES = 12  # of a number in the logits, with its copies for penalties and draws
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
    return max(LEAST, int(SHARE * _left(model, deployment)) // token_bytes(model))


def held_logits(model: Any, deployment: Deployment) -> int:
    """How many numbers of logits have room in the memory of the model's device; at least those of one position."""
    vocabulary: int = model.config.get_text_config().vocab_size
    return max(vocabulary, int(SHARE_OF_LOGITS * _left(model, deployment)) // LOGIT_BYTES)


def _left(model: Any, deployment: Deployment) -> int:
    """Bytes that the job may take beside the weights."""
    import torch

    if model.device.type == "cuda":
        free, total = torch.cuda.mem_get_info(model.device)
        return free - int((1 - deployment.memory_share) * total)
    weights = sum(parameter.numel() * parameter.itemsize for parameter in model.parameters())
    return (deployment.memory or memory_here()) - weights - RUNNING


def memory_here() -> int:
    """Bytes of memory that a scheduler gives this job; without one, those of the machine."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits += [2**20 * int(os.environ[name]) for name in ("SLURM_MEM_PER_NODE",) if os.environ.get(name, "").isdigit()]
    for file in LIMITS:
        text = file.read_text().strip() if file.is_file() else ""
        limits += [int(text)] if text.isdigit() else []
    return min(limit for limit in limits if limit > 0)
