"""Intervals and tests for shares and their differences. All intervals are two-sided; their level is 95% by default.

Only the functions that need scipy.stats import it, because reading the workflow and making most tables do not need it.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95


class Estimate(NamedTuple):
    """A value and the ends of its confidence interval; all three are NaN where the value is not defined."""

    value: float
    low: float
    high: float

    def columns(self, name: str, scale: float = 1) -> dict[str, float]:
        """The columns of a table that hold the estimate: `<name>`, and its ends as `<name>_low` and `<name>_high`."""
        return {name: scale * self.value, f"{name}_low": scale * self.low, f"{name}_high": scale * self.high}


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


def wilson(right: int, n: int, level: float = LEVEL) -> Estimate:
    """The share right / n with Wilson's score interval (Wilson 1927); undefined for n = 0."""
    from scipy import stats

    if not 0 <= right <= n:
        raise ValueError(f"{right} of {n} is not a share")
    if n == 0:
        return UNDEFINED
    interval = stats.binomtest(right, n).proportion_ci(confidence_level=level, method="wilson")
    return Estimate(right / n, float(interval.low), float(interval.high))


def wilson_of_facts(right: int, n: int, facts: int, level: float = LEVEL) -> Estimate:
    """The share right / n of answers about fewer facts, with Wilson's interval as if it were of so many facts.

    Answers about one fact, such as in several wordings, are not independent. If they were all alike, this interval would
    be right; otherwise it is too wide, and never too narrow.
    """
    from scipy import stats

    if facts == n:
        return wilson(right, n, level)
    share, square = wilson(right, n, level).value, float(stats.norm.ppf((1 + level) / 2)) ** 2 / facts
    centre = (share + square / 2) / (1 + square)
    reach = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return Estimate(share, max(centre - reach, 0.0), min(centre + reach, 1.0))


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """The mean of independent values, such as one per seed, with Student's t interval.

    Undefined values (NaN) are left out; the ends are NaN where fewer than two values remain.
    """
    from scipy import stats

    array = np.asarray(values, dtype=float)
    array = array[~np.isnan(array)]
    if not len(array):
        return UNDEFINED
    mean = float(array.mean())
    if len(array) < 2:
        return Estimate(mean, math.nan, math.nan)
    reach = float(stats.t.ppf((1 + level) / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Estimate(mean, mean - reach, mean + reach)


def share_over_seeds(
    counts: Sequence[int], totals: Sequence[int], level: float = LEVEL, facts: Sequence[int] | None = None
) -> Estimate:
    """A share from one count and total per seed: Wilson's interval for one seed, else the t interval over the seeds.

    Wilson's interval shows the variation over facts; the t interval also shows that over trainings and prompts. The ends
    are clipped to [0, 1]. `facts` are the numbers of facts, if there are several answers about a fact
    (`wilson_of_facts`).
    """
    of = zip(counts, totals, totals if facts is None else facts, strict=True)
    shares = [wilson_of_facts(count, total, about, level) for count, total, about in of]
    if len(shares) == 1:
        return shares[0]
    mean = mean_interval([share.value for share in shares], level)
    return Estimate(mean.value, float(np.clip(mean.low, 0, 1)), float(np.clip(mean.high, 0, 1)))


def discordant(before: np.ndarray, after: np.ndarray) -> tuple[int, int]:
    """How many facts changed from wrong to right, and from right to wrong; both arrays are boolean, over the same facts."""
    before, after = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if before.shape != after.shape:
        raise ValueError(f"the pairs do not match: {before.shape} and {after.shape}")
    return int((~before & after).sum()), int((before & ~after).sum())


def paired_difference(
    before: np.ndarray, after: np.ndarray, level: float = LEVEL, facts: int | None = None
) -> Estimate:
    """The share of right answers in `after` minus that in `before`, over the same answers.

    The interval is the normal one for matched pairs, with half a fact added to each cell of the two-by-two table (Agresti
    and Min 2005). So it does not shrink to a point where no fact changed. `facts` is the number of facts, if there are
    several answers about a fact: the interval is then as if it were of so many answers, as in `wilson_of_facts`.
    """
    from scipy import stats

    changed, of = discordant(before, after), len(before)
    if of == 0:
        return UNDEFINED
    n = of if facts is None else facts
    gained, lost = (count * n / of for count in changed)
    centre = (gained - lost) / (n + 2)
    variance = ((gained + lost + 1) / (n + 2) - centre**2) / (n + 2)
    reach = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(variance)
    return Estimate((gained - lost) / n, max(centre - reach, -1.0), min(centre + reach, 1.0))


def mcnemar(before: np.ndarray, after: np.ndarray) -> float:
    """The p-value of McNemar's exact two-sided test; its hypothesis is that as many facts become right as become wrong."""
    from scipy import stats

    gained, lost = discordant(before, after)
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def difference_over_seeds(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], level: float = LEVEL, facts: Sequence[int] | None = None
) -> Estimate:
    """The difference of two shares from one pair of boolean arrays (before, after) per seed.

    The interval is the paired one for one seed, else the t interval over the seeds. `facts` are as in `paired_difference`.
    """
    of = [len(before) for before, _ in pairs] if facts is None else facts
    differences = [paired_difference(*pair, level, about) for pair, about in zip(pairs, of, strict=True)]
    if len(differences) == 1:
        return differences[0]
    mean = mean_interval([difference.value for difference in differences], level)
    return Estimate(mean.value, float(np.clip(mean.low, -1, 1)), float(np.clip(mean.high, -1, 1)))


def of_facts(
    seeds: Sequence[tuple[np.ndarray, ...]],
    statistic: Callable[..., float],
    level: float = LEVEL,
    resamples: int = 2000,
) -> Estimate:
    """A statistic of boolean arrays over the same facts, from one tuple of arrays per seed.

    For one seed, the interval is that of the percentile bootstrap over the facts. It is paired: a fact is drawn in all
    arrays at once. For several seeds, it is the t interval over the seeds. The estimate is undefined where the statistic
    of any seed is.
    """
    from scipy import stats

    values = [statistic(*arrays) for arrays in seeds]
    if any(math.isnan(value) for value in values):
        return UNDEFINED
    if len(values) > 1:
        return mean_interval(values, level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # the interval is then undefined
        found = stats.bootstrap(
            seeds[0],
            lambda *arrays: statistic(*arrays),
            n_resamples=resamples,
            batch=100,  # so that memory does not grow with all resamples of all facts
            paired=True,
            vectorized=False,
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    return Estimate(values[0], float(found.low), float(found.high))
