from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.probe.engines.prefixes import BLOCK_COST, WORTH, shared_prefixes

# Tokens of a small alphabet, so that prompts share prefixes, behind one of a few long beginnings.
BEGINNINGS = [[], [9] * 30, [9] * 20 + [8] * 25]
PROMPTS = st.lists(
    st.tuples(st.sampled_from(BEGINNINGS), st.lists(st.integers(0, 1), min_size=1, max_size=6)).map(
        lambda p: p[0] + p[1]
    ),
    min_size=1,
    max_size=8,
)


def saved(blocks):
    return sum((len(block.places) - 1) * block.length - BLOCK_COST for block in blocks if block.length)


@given(PROMPTS)
@settings(deadline=None, derandomize=True)
def test_blocks_part_the_prompts_and_each_shares_its_prefix(ids):
    blocks = shared_prefixes(ids)
    assert sorted(place for block in blocks for place in block.places) == list(range(len(ids)))
    for block in blocks:
        beginnings = {tuple(ids[place][: block.length]) for place in block.places}
        assert len(beginnings) == 1
        assert all(len(ids[place]) > block.length for place in block.places)
        assert block.length == 0 or len(block.places) > 1
    assert sum(block.length == 0 for block in blocks) <= 1


def partitions(places):
    if not places:
        yield []
        return
    first, *others = places
    for count in range(len(others) + 1):
        for chosen in combinations(others, count):
            for parts in partitions([place for place in others if place not in chosen]):
                yield [[first, *chosen], *parts]


def common(prompts):
    most = min(map(len, prompts)) - 1
    return next((i for i in range(most) if len({p[i] for p in prompts}) > 1), most)


@given(PROMPTS.filter(lambda ids: len(ids) <= 6))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_no_other_partition_saves_more(ids):
    def gain(part):
        length = common([ids[place] for place in part])
        return max(0, (len(part) - 1) * length - BLOCK_COST)

    best = max(sum(map(gain, parts)) for parts in partitions(list(range(len(ids)))))
    found = saved(shared_prefixes(ids))
    assert found == (best if best >= WORTH * sum(map(len, ids)) else 0)


@pytest.mark.parametrize("ids", [[], [[1, 2, 3]]])
def test_a_prompt_alone_shares_nothing(ids):
    assert [block.length for block in shared_prefixes(ids)] == [0]
