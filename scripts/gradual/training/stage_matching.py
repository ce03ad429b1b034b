"""The weights of the stages' adapters in a composed state (MoCL, Wang et al. 2024).

The query of a question is the mean of the untouched model's last hidden states over the question's tokens. The key of a
stage is the mean of the normalised queries of the questions that it trains on. It is where the matching loss of MoCL leads
to, so that keys need no training. A question weighs the stages by softmax(sharpness x cosine of query and key). The mean of
these weights over the present stage's questions makes one adapter for all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradual.ground.errors import InputError

ROWS = 32  # questions that are computed together


def queries(model: Any, tokenizer: Any, questions: Sequence[str]) -> np.ndarray:
    """The normalised query of each question, in double precision (questions x hidden size).

    The model reads the special tokens that the tokenizer puts around a question, but they do not count in the mean. At the
    first token of a text, hidden states of many models have large values that are the same for all texts. Raises InputError
    where hidden states are not finite.
    """
    import torch

    found = []
    for start in range(0, len(questions), ROWS):
        texts = [tokenizer(question, return_special_tokens_mask=True) for question in questions[start : start + ROWS]]
        shape = (len(texts), max(len(text["input_ids"]) for text in texts))
        ids, read, counted = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
        for row, text in enumerate(texts):
            end = len(text["input_ids"])
            ids[row, :end], read[row, :end] = torch.tensor(text["input_ids"]), 1
            counted[row, :end] = 1 - torch.tensor(text["special_tokens_mask"])
        ids, read, counted = (tensor.to(model.device) for tensor in (ids, read, counted))
        with torch.inference_mode():
            states = model.base_model(input_ids=ids, attention_mask=read, use_cache=False).last_hidden_state
        if not states[counted.bool()].isfinite().all():
            raise InputError("the base model", "gives hidden states that are not finite", "another models.<name>.dtype")
        sums = (states.double() * counted[..., None]).sum(1)  # padding has no attention, and counts nothing
        found.append(sums / sums.norm(dim=1, keepdim=True))
    return torch.cat(found).cpu().numpy()


def stage_weights(found: Mapping[str, np.ndarray], sharpness: float) -> dict[str, float]:
    """The mean weights of the stages over the questions of the last one; they sum to 1.

    `found` has the normalised queries of each stage's training questions, in the order of the stages.
    """
    keys = np.stack([rows.mean(axis=0) for rows in found.values()])
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    scaled = sharpness * [*found.values()][-1] @ keys.T
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    # Rounded, so that rounding of the hidden states changes no weight, and re-runs nothing.
    return {stage: float(f"{weight:.6g}") for stage, weight in zip(found, weights.mean(axis=0), strict=True)}
