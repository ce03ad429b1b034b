"""How the next tokens of answers are chosen: greedily, or as samples, each with its own stream of uniform numbers.

Processors round logits differently. Near the border of two tokens, they could choose different ones. There, the logits are
computed once more in double precision, so that rounding does not decide.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradual.ground.seeding import seeded
from gradual.probe.answers import Decoding, Prompt

# The logits of these rows (n,), in double precision (n, vocabulary); None for a model that is not in float32
Exact = Callable[[Any], Any] | None
# How far rounding may move a logit, as a share of the largest one. Among all logits of some prompts, the largest change was
# 6e-7 with 3 layers, and 1e-5 with 30. A larger one is rare, and matters only where a choice is as near to a border.
BORDER = 1e-5


class Greedy:
    """The likeliest token of each row."""

    def next(self, logits: Any, step: int, exact: Exact) -> tuple[Any, Any, np.ndarray]:
        """The tokens of the rows, the rows that they continue, and how many answers each has (one)."""
        import torch

        tokens = logits.argmax(-1)
        if exact:
            least = logits.amax(-1, keepdim=True) - 2 * _border(logits)
            if len(rows := ((logits >= least).sum(-1) > 1).nonzero()[:, 0]):
                tokens[rows] = exact(rows).argmax(-1)
        return tokens, torch.arange(len(logits), device=logits.device), np.ones(len(logits), dtype=np.int64)

    def keep(self, going: Any) -> None:
        """Nothing is kept from step to step."""


class Draws:
    """The samples of P prompts, drawn token by token from streams of uniform numbers (P * samples, tokens)."""

    def __init__(self, uniforms: Any, decoding: Decoding) -> None:
        import torch

        self.uniforms, self.decoding = uniforms, decoding
        self.live = torch.arange(len(uniforms), device=uniforms.device)  # samples not yet finished, prompt by prompt
        self.row_of = self.live // decoding.samples
        self._child_of: Any = None

    def next(self, logits: Any, step: int, exact: Exact) -> tuple[Any, Any, np.ndarray]:
        """The distinct continuations of the rows: their tokens, the rows that they continue, and their sample counts."""
        import torch

        uniform = self.uniforms[self.live, step]
        token, close = _next_tokens(logits, self.decoding, self.row_of, uniform)
        if exact and bool(close.any()):
            rows, place = torch.unique(self.row_of[close], return_inverse=True)
            token[close], _ = _next_tokens(exact(rows), self.decoding, place, uniform[close])
        vocabulary = logits.shape[-1]
        children, self._child_of = torch.unique(self.row_of * vocabulary + token, return_inverse=True)
        counts = torch.bincount(self._child_of).cpu().numpy()
        return children % vocabulary, children // vocabulary, counts

    def keep(self, going: Any) -> None:
        """Keep only the continuations at these places: they become the rows of the next step."""
        import torch

        place = torch.full((int(self._child_of.max()) + 1,), -1, device=going.device)
        place[going] = torch.arange(len(going), device=going.device)
        row_of = place[self._child_of]
        self.live, self.row_of = self.live[row_of >= 0], row_of[row_of >= 0]


def stream(prompt: Prompt, decoding: Decoding) -> np.ndarray:
    """The uniform numbers (samples, tokens) of a prompt; a sample's stream depends on fact, prompt and sample."""
    key = seeded(decoding.seed, prompt.fact_id, prompt.index)
    return np.random.Generator(np.random.Philox(key=key)).random((decoding.samples, decoding.max_new_tokens))


def _next_tokens(logits: Any, decoding: Decoding, row_of: Any, uniform: Any) -> tuple[Any, Any]:
    """A token for each sample, where its row's cumulative distribution (temperature, top k) reaches its uniform number.

    Also whether rounding could choose another token: if the number is close to an end of the token's part of the
    distribution, or if the token before or after it in the order is about as likely, so that they could change places.
    """
    import torch

    size = logits.shape[-1]
    kept = min(decoding.top_k or size, size)
    best = torch.topk(logits, min(kept + 1, size), dim=-1)
    shares = torch.softmax(best.values[:, :kept].double() / decoding.temperature, dim=-1)
    cumulative = torch.cumsum(shares, dim=-1)
    place = (cumulative[row_of] < uniform[:, None]).sum(-1).clamp(max=kept - 1)
    border, own = _border(logits), row_of[:, None]
    ends = cumulative[own, torch.stack([(place - 1).clamp(min=0), place], dim=1)]
    # If the logits change by up to the border, a cumulative share c changes by up to 2 c (1 - c) border / temperature.
    near = (ends - uniform[:, None]).abs() <= 2 * ends * (1 - ends) * border / decoding.temperature
    gaps = torch.nn.functional.pad(best.values[:, :-1] - best.values[:, 1:], (1, 1), value=float("inf"))
    tied = gaps[own, torch.stack([place, place + 1], dim=1)] <= 2 * border
    return best.indices[row_of, place], (near | tied).any(-1)


def _border(logits: Any) -> Any:
    """By how much rounding may change one of these logits."""
    import torch

    least, most = logits.aminmax()
    return BORDER * torch.maximum(most, -least)
