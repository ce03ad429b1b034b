"""How many prompts a fact is expected to be asked until its category is settled (probe.counts: settled).

A category does not say when its answers settle it. The plan takes the probability p that an answer to a fact is right to be
uniform over 0..1, and the fact's prompts to be independent, given p. Then m prompts are all right with probability
E[p^m] = 1/(m+1), and all wrong with the same.
"""

from collections.abc import Callable, Mapping

from gradual.knowledge.categories import MAYBE, UNKNOWN, WEAKLY
from gradual.probe.answers import ROUND


def greedy_prompts(prompts: int, shares: Mapping[str, float]) -> float:
    """Prompts that get a greedy answer, per fact, where the categories have these shares: all but of a MaybeKnown fact.

    Of n prompts some are right and some wrong with probability 1 - 2/(n+1) = (n-1)/(n+1). Such a fact is still open after
    m > 0 of them if these are all right or all wrong: 2 (1/(m+1) - 1/(n+1)) of that, which is 2 (n-m) / ((m+1) (n-1)).
    """

    def still_open(m: int) -> float:
        return 2 * (prompts - m) / ((m + 1) * (prompts - 1)) if m else 1.0

    maybe = shares.get(MAYBE, 0.0)
    return maybe * _expected(prompts, still_open) + (1 - maybe) * prompts


def sampled_prompts(prompts: int, shares: Mapping[str, float]) -> float:
    """Prompts that get samples, per fact, in a full probe: of WeaklyKnown and Unknown facts, all of the latter.

    Here p is the probability that some sample of a prompt is right. Of n prompts one has a right sample with probability
    n/(n+1). Such a fact is still open after m of them if none of these has: (1/(m+1) - 1/(n+1)) of that, (n-m) / ((m+1) n).
    """
    weakly = _expected(prompts, lambda m: (prompts - m) / ((m + 1) * prompts))
    return shares.get(WEAKLY, 0.0) * weakly + shares.get(UNKNOWN, 0.0) * prompts


def _expected(prompts: int, still_open: Callable[[int], float]) -> float:
    """The prompts of all rounds, each by the probability that its fact is still open before it."""
    return sum(min(ROUND, prompts - m) * still_open(m) for m in range(0, prompts, ROUND))
