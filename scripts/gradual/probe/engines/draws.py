"""Samples of answers, drawn token by token. Each sample has its own stream of uniform numbers."""

from typing import Any

import numpy as np

from gradual.ground.seeding import seeded
from gradual.probe.answers import Decoding, Prompt


class Draws:
    """The samples of P prompts, drawn token by token from streams of uniform numbers (P * samples, tokens)."""

    def __init__(self, uniforms: Any, decoding: Decoding) -> None:
        import torch

        self.uniforms, self.decoding = uniforms, decoding
        self.live = torch.arange(len(uniforms), device=uniforms.device)  # samples not yet finished, prompt by prompt
        self.row_of = self.live // decoding.samples
        self._child_of: Any = None

    def next(self, logits: Any, step: int) -> tuple[Any, Any, np.ndarray]:
        """The distinct continuations of the rows: their tokens, the rows that they continue, and their sample counts."""
        import torch

        token = _next_tokens(logits, self.decoding, self.row_of, self.uniforms[self.live, step])
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


def _next_tokens(logits: Any, decoding: Decoding, row_of: Any, uniform: Any) -> Any:
    """A token for each sample, where its row's cumulative distribution (temperature, top k) reaches its uniform number."""
    import torch

    size = logits.shape[-1]
    best = torch.topk(logits, min(decoding.top_k or size, size), dim=-1)
    cumulative = torch.cumsum(torch.softmax((best.values.float() / decoding.temperature).double(), dim=-1), dim=-1)
    place = (cumulative[row_of] < uniform[:, None]).sum(-1).clamp(max=best.values.shape[-1] - 1)
    return best.indices[row_of, place]
