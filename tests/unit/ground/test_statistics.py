"""Intervals and tests against known values."""

import math

import numpy as np
import pytest

from gradual.ground import statistics


def test_wilson_interval_of_a_known_share():
    # Newcombe 1998, Table I: 81 of 263.
    share = statistics.wilson(81, 263)
    assert (share.value, share.low, share.high) == pytest.approx((81 / 263, 0.2553, 0.3662), abs=1e-4)


def test_wilson_interval_at_the_borders():
    assert statistics.wilson(0, 10).low == pytest.approx(0) and statistics.wilson(0, 10).high > 0.2
    assert statistics.wilson(10, 10).high == pytest.approx(1) and statistics.wilson(10, 10).low < 0.8
    assert math.isnan(statistics.wilson(0, 0).value)
    with pytest.raises(ValueError, match="3 of 2"):
        statistics.wilson(3, 2)


def test_mean_interval_over_seeds():
    # t of two degrees of freedom at 97.5% is 4.3027, the standard error of 1, 2, 3 is 1 / sqrt(3).
    mean = statistics.mean_interval([1, 2, 3])
    assert mean == pytest.approx((2, 2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)


def test_mean_interval_leaves_out_undefined_values():
    mean = statistics.mean_interval([1, math.nan])
    assert mean.value == 1 and math.isnan(mean.low) and math.isnan(mean.high)
    assert math.isnan(statistics.mean_interval([math.nan]).value)


def test_share_over_seeds_is_wilson_for_one_and_t_for_several():
    assert statistics.share_over_seeds([3], [10]) == statistics.wilson(3, 10)
    several = statistics.share_over_seeds([3, 5], [10, 10])
    assert several.value == pytest.approx(0.4)
    assert several.low == 0 and several.high == 1  # t of one degree of freedom is 12.7: the ends are clipped


def pairs(both: int, gained: int, lost: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Boolean arrays (before, after) with so many facts of each kind."""
    before = np.repeat([True, False, True, False], [both, gained, lost, neither])
    after = np.repeat([True, True, False, False], [both, gained, lost, neither])
    return before, after


def test_mcnemar_is_exact_and_two_sided():
    # 5 against 0 discordant pairs: 2 * 0.5 ** 5.
    assert statistics.mcnemar(*pairs(10, 5, 0, 10)) == pytest.approx(0.0625)
    assert statistics.mcnemar(*pairs(10, 0, 5, 10)) == pytest.approx(0.0625)
    assert statistics.mcnemar(*pairs(10, 4, 4, 10)) == 1
    assert statistics.mcnemar(*pairs(10, 0, 0, 10)) == 1


def test_paired_difference():
    difference = statistics.paired_difference(*pairs(40, 20, 10, 30))
    # By hand: centre 10 / 102, variance ((31 / 102) - centre ** 2) / 102.
    centre = 10 / 102
    reach = 1.959964 * math.sqrt((31 / 102 - centre**2) / 102)
    assert difference == pytest.approx((0.1, centre - reach, centre + reach), abs=1e-6)


def test_paired_difference_without_changes_is_not_a_point():
    difference = statistics.paired_difference(*pairs(10, 0, 0, 10))
    assert difference.value == 0 and difference.low < 0 < difference.high


def test_paired_difference_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        kind = rng.choice(4, size=400, p=[0.3, 0.15, 0.1, 0.45])
        difference = statistics.paired_difference(np.isin(kind, (0, 2)), np.isin(kind, (0, 1)))
        covered += difference.low <= 0.05 <= difference.high
    assert 930 <= covered <= 970


def test_answers_that_repeat_each_other_narrow_no_interval():
    before, after = np.array([True] * 30 + [False] * 50), np.array([True] * 20 + [False] * 20 + [True] * 40)
    once = statistics.share_over_seeds([60], [80])
    assert statistics.share_over_seeds([120], [160], facts=[80]) == pytest.approx(once)
    assert statistics.share_over_seeds([160], [160], facts=[80]) == pytest.approx(statistics.wilson(80, 80))
    pairs = statistics.difference_over_seeds([(before, after)])
    twice = np.repeat(before, 2), np.repeat(after, 2)
    assert statistics.difference_over_seeds([twice], facts=[80]) == pytest.approx(pairs)
    assert statistics.difference_over_seeds([twice]).low > pairs.low


def test_difference_over_seeds():
    one = pairs(40, 20, 10, 30)
    assert statistics.difference_over_seeds([one]) == statistics.paired_difference(*one)
    several = statistics.difference_over_seeds([one, pairs(40, 22, 10, 28)])
    assert several.value == pytest.approx(0.11) and several.low < several.value < several.high


def test_pairs_must_match():
    with pytest.raises(ValueError, match="do not match"):
        statistics.mcnemar(np.ones(2, dtype=bool), np.ones(3, dtype=bool))


# A statistic of the facts


def rise(before: np.ndarray, after: np.ndarray) -> float:
    return float(after.mean() - before.mean())


def growth(before: np.ndarray, after: np.ndarray) -> float:
    """A ratio that is not defined where nothing was there before."""
    return float((after.sum() - before.sum()) / before.sum()) if before.sum() > 0 else math.nan


def test_of_facts_is_near_the_interval_for_pairs():
    arrays = pairs(400, 200, 100, 300)
    found, expected = statistics.of_facts([arrays], rise), statistics.paired_difference(*arrays)
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)


def test_of_facts_draws_a_fact_in_all_arrays_at_once():
    same, _ = pairs(40, 0, 30, 30)
    assert statistics.of_facts([(same, same)], rise) == (0, 0, 0)


def test_of_facts_is_the_same_every_time():
    assert statistics.of_facts([pairs(40, 20, 10, 30)], rise) == statistics.of_facts([pairs(40, 20, 10, 30)], rise)


def test_of_facts_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(150):
        kind = rng.choice(4, size=200, p=[0.3, 0.15, 0.1, 0.45])
        found = statistics.of_facts([(np.isin(kind, (0, 2)), np.isin(kind, (0, 1)))], growth, resamples=300)
        covered += found.low <= 0.05 / 0.4 <= found.high
    assert 132 <= covered <= 149


def test_of_facts_reaches_further_at_a_higher_level():
    arrays = pairs(40, 20, 10, 30)
    narrow, wide = (statistics.of_facts([arrays], rise, level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_of_facts_over_seeds_is_students():
    seeds = [pairs(40, 20, 10, 30), pairs(40, 22, 10, 28), pairs(40, 10, 10, 40)]
    assert statistics.of_facts(seeds, rise) == pytest.approx(statistics.mean_interval([0.1, 0.12, 0.0]))


def test_of_facts_is_undefined_where_a_seed_is():
    nobody = pairs(0, 5, 0, 5)
    assert math.isnan(statistics.of_facts([nobody], growth).value)
    assert all(math.isnan(value) for value in statistics.of_facts([pairs(40, 20, 10, 30), nobody], growth))


def test_of_facts_has_no_interval_where_a_draw_is_undefined():
    # One of ten facts was there before: a third of the draws lack it.
    found = statistics.of_facts([pairs(1, 2, 0, 7)], growth)
    assert found.value == 2 and math.isnan(found.low) and math.isnan(found.high)


def test_seeds_without_facts_do_not_count():
    nothing = (np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))
    difference = statistics.difference_over_seeds([pairs(40, 20, 10, 30), nothing])
    assert difference.value == pytest.approx(0.1) and math.isnan(difference.low)
    share = statistics.share_over_seeds([3, 0], [10, 0])
    assert share.value == pytest.approx(0.3) and math.isnan(share.low) and math.isnan(share.high)
