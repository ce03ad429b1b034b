"""How probable it is that a sampled answer begins with the gold one, from the model's distributions, without drawing any.

A fact's gold answer is read as tokens a_1 … a_t that continue a prompt. With q the distribution that a draw's next token
comes from (the top k, tempered), and B the tokens that begin as a_t does (itself, and such as ".\\n" where it is "."),

    p = q(a_1 | prompt) … q(a_{t-1} | prompt, a_1 … a_{t-2}) · Σ_{b in B} q(b | prompt, a_1 … a_{t-1}).

That is exact for a draw that says the answer's own tokens, the last of which may reach beyond it. It is a lower bound of
how probable a right draw is: other tokens of the same text, another case, and an answer in the midst of other words count
under a scoring rule and not here.
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradual.engines.interface import Decoding, Prompt


@dataclass(frozen=True)
class Gold:
    """The tokens of a gold answer after its prompt, and which may stand in the last one's place. No tokens: no draw can
    hold the answer, which is longer than an answer may be or has a stop string."""

    tokens: tuple[int, ...] = ()
    last: frozenset[int] = frozenset()


class GoldAnswers:
    """Reads gold answers as the tokens of draws."""

    def __init__(self, tokenizer: Any, special_tokens: bool, decoding: Decoding) -> None:
        self.tokenizer, self.special_tokens, self.decoding = tokenizer, special_tokens, decoding
        vocabulary = tokenizer.get_vocab().items()
        added = set(tokenizer.added_tokens_decoder)
        # In the tokenizer's own alphabet, in which a token begins as another one where its bytes do.
        self._tokens = sorted((string, token) for string, token in vocabulary if token not in added)

    def of(self, prompts: Sequence[Prompt], ids: Sequence[Sequence[int]]) -> list[Gold]:
        """The gold answers of prompts with these token ids."""
        return [self._gold(prompt, list(tokens)) for prompt, tokens in zip(prompts, ids, strict=True)]

    def _gold(self, prompt: Prompt, ids: list[int]) -> Gold:
        joint = self.tokenizer(prompt.text + prompt.gold, add_special_tokens=self.special_tokens)["input_ids"]
        tokens = joint[len(ids) :]
        if joint[: len(ids)] != ids:  # the prompt's end and the answer share a token, which no draw can give
            tokens = self.tokenizer(prompt.gold, add_special_tokens=False)["input_ids"]
        stopped = any(stop in prompt.gold for stop in self.decoding.stop)
        if stopped or not 0 < len(tokens) <= self.decoding.max_new_tokens:
            return Gold()
        return Gold(tuple(tokens), self._beginning_as(tokens[-1]))

    def _beginning_as(self, token: int) -> frozenset[int]:
        beginning = self.tokenizer.convert_ids_to_tokens(token)
        found = {token}
        for string, other in self._tokens[bisect_left(self._tokens, (beginning, 0)) :]:
            if not string.startswith(beginning):
                break
            found.add(other)
        return frozenset(found)


def forced(golds: Sequence[Gold]) -> list[list[int]]:
    """The tokens after which logits are asked for: each answer's but its last, padded to the longest by 0."""
    longest = max((len(gold.tokens) for gold in golds), default=0)
    return [[*gold.tokens[:-1]] + [0] * (longest - max(1, len(gold.tokens))) for gold in golds]


def likelihoods(logits: Any, golds: Sequence[Gold], decoding: Decoding) -> list[float]:
    """The likelihood of each of P gold answers, from a model's logits (P, longest answer, vocabulary).

    Those at [p, i] follow prompt p and the first i tokens of its answer (see `forced`); those after its end are not read.
    """
    import torch

    size = logits.shape[-1]
    best = torch.topk(logits.float(), min(decoding.top_k or size, size), dim=-1)
    tokens, values = best.indices.tolist(), best.values.tolist()
    return [
        likelihood(
            [dict(zip(*step, strict=True)) for step in zip(*row, strict=True)][: len(gold.tokens)], gold, decoding
        )
        for *row, gold in zip(tokens, values, golds, strict=True)
    ]


def likelihood(steps: Sequence[Mapping[int, float]], gold: Gold, decoding: Decoding) -> float:
    """The likelihood of a gold answer, from the logits of the top k tokens at each of its places, all less any constant."""
    if not gold.tokens:
        return 0.0
    wanted: list[Collection[int]] = [*((token,) for token in gold.tokens[:-1]), gold.last]
    found = 1.0
    for logits, tokens in zip(steps, wanted, strict=True):
        top = max(logits.values())
        weights = {token: math.exp((logit - top) / decoding.temperature) for token, logit in logits.items()}
        found *= sum(weights[token] for token in tokens if token in weights) / math.fsum(weights.values())
    return found
