"""Prefixes that prompts share: which of them are worth computing once."""

from dataclasses import dataclass

import numpy as np

BLOCK_COST = 16  # the cost of a block in tokens: its prefix must save more than these
STEP = 8
WORTH = 0.1  # the share of all tokens that the blocks together must save; else the prompts are not divided


@dataclass(frozen=True)
class Block:
    """Prompts (their places) whose first `length` tokens are equal; the length is 0 for prompts that share no prefix."""

    places: list[int]
    length: int


def shared_prefixes(ids: list[list[int]]) -> list[Block]:
    """The blocks of prompts, given by their token ids, that save most tokens if each block's prefix is computed once.

    In lexicographic order, prompts with a common prefix are neighbours. The order is split where neighbours share least, if
    the parts together save more than the whole. At least one token of every prompt stays outside the prefix.
    """
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if len(order) < 2:
        return [Block(order, 0)]
    shared = np.array([_common(ids[a], ids[b]) for a, b in zip(order, order[1:], strict=False)])
    saved, spans = _best(shared, 0, len(order))
    if saved < WORTH * sum(map(len, ids)):
        return [Block(order, 0)]
    alone = [place for begin, end, length in spans if not length for place in order[begin:end]]
    blocks = [Block(order[begin:end], length) for begin, end, length in spans if length]
    return blocks + ([Block(alone, 0)] if alone else [])


class HeldTokens:
    """About how many tokens prompts have, if those of shared prefixes count once. Prefixes are compared by STEP tokens."""

    def __init__(self) -> None:
        self.count = 0
        self._seen: set[int] = set()  # hashes of prefixes

    def add(self, prompts: list[list[int]]) -> None:
        """Add prompts, given by their token ids."""
        for ids in prompts:
            so_far, new = 0, 0
            for start in range(0, len(ids), STEP):
                part = tuple(ids[start : start + STEP])
                so_far = hash((so_far, part))
                if so_far not in self._seen:
                    self._seen.add(so_far)
                    new += len(part)
            self.count += new


def _common(one: list[int], other: list[int]) -> int:
    """The length of the common prefix of two prompts; the last token of the shorter prompt is never part of it."""
    most = min(len(one), len(other)) - 1
    return next((i for i in range(most) if one[i] != other[i]), max(most, 0))


def _best(shared: np.ndarray, begin: int, end: int) -> tuple[int, list[tuple[int, int, int]]]:
    """The most tokens that the prompts from `begin` to `end` can save, and the blocks for it: (begin, end, length) each."""
    if end - begin == 1:
        return 0, [(begin, end, 0)]
    within = shared[begin : end - 1]
    least = int(within.min())
    whole = (end - begin - 1) * least - BLOCK_COST
    cuts = [begin, *(begin + 1 + np.flatnonzero(within == least)).tolist(), end]
    parts = [_best(shared, a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    apart = sum(saved for saved, _ in parts)
    if whole > 0 and whole >= apart:
        return whole, [(begin, end, least)]
    return apart, [span for _, spans in parts for span in spans]
