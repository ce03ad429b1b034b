"""What a state is asked: the prompts and the decoding of a probe, by its key, and which facts get sampled answers."""

from dataclasses import replace

import pandas as pd
import pytest

from gradual.probe.answers import Answer, Answered, Decoding, Prompt
from gradual.probe.prompts import ExemplarPool, plain
from gradual.probe.questions import exactly, in_order, probe_decoding, probe_prompts, shard
from gradual.probe.settings import AnswerSettings, ProbeKey, Sampling
from tiny import facts

TABLE = facts()
TRAIN = TABLE[TABLE["split"] == "train"]
SETTINGS = AnswerSettings(
    shots=2, exemplars="per_fact", exemplar_split="train", format="plain", template_arguments={},
    stop=("\n", "."), max_new_tokens=5, repetition_penalty=1.1,
)  # fmt: skip
KEY = ProbeKey(seed=1, state="stage1", probe=0)
OTHER_KEYS = {"seed": {"seed": 2}, "state": {"state": "origin"}, "probe": {"probe": 1}}


@pytest.mark.parametrize("count", [1, 3, 100])
def test_the_shards_are_all_facts_once(count):
    parts = [shard(TABLE, i, count) for i in range(count)]
    assert pd.concat(parts).equals(TABLE)


def test_facts_that_share_exemplars_are_asked_one_after_another():
    assert in_order(TABLE, "per_fact").equals(TABLE)
    found = in_order(TABLE, "per_relation")
    assert found.sort_index().equals(TABLE)
    changes = (found["relation"] != found["relation"].shift()).sum()
    assert changes == TABLE["relation"].nunique() < (TABLE["relation"] != TABLE["relation"].shift()).sum()
    assert all(
        part["fact_id"].tolist() == TABLE.loc[part.index.sort_values(), "fact_id"].tolist()
        for _, part in found.groupby("relation")
    )


def prompts(key=KEY, asked=TRAIN, **settings):
    changed = replace(SETTINGS, **settings)
    return list(probe_prompts(asked, ExemplarPool(TABLE, "train", "facts"), plain, changed, 3, key))


def test_every_fact_has_its_prompts_in_order():
    found = prompts()
    assert [[(p.fact_id, p.index) for p in group] for group in found] == [
        [(fact_id, index) for index in range(3)] for fact_id in TRAIN["fact_id"]
    ]
    assert all(p.text.count("Q: ") == 3 for group in found for p in group)


@pytest.mark.parametrize("exemplars", ["per_fact", "per_relation"])
def test_a_shards_prompts_are_those_of_the_whole_probe(exemplars):
    parts = [prompts(asked=shard(TRAIN, i, 3), exemplars=exemplars) for i in range(3)]
    assert sum(parts, []) == prompts(exemplars=exemplars)


@pytest.mark.parametrize("change", OTHER_KEYS.values(), ids=OTHER_KEYS)
def test_every_probe_of_every_state_under_every_seed_draws_its_own_prompts_and_samples(change):
    assert prompts() == prompts() != prompts(replace(KEY, **change))
    seeds = [probe_decoding(SETTINGS, None, key).seed for key in (KEY, replace(KEY, **change))]
    assert seeds[0] != seeds[1]


def test_the_exemplars_that_relations_share_are_the_same_for_all_states():
    assert prompts(exemplars="per_relation") == prompts(replace(KEY, state="origin"), exemplars="per_relation")
    for change in ({"seed": 2}, {"probe": 1}):
        assert prompts(exemplars="per_relation") != prompts(replace(KEY, **change), exemplars="per_relation")


def test_decoding_is_that_of_the_settings_with_samples_where_they_are_asked_for():
    greedy = probe_decoding(SETTINGS, None, KEY)
    assert greedy == Decoding(5, ("\n", "."), seed=greedy.seed, repetition_penalty=1.1)
    sampled = probe_decoding(SETTINGS, Sampling(samples=4, temperature=0.5, top_k=9), KEY)
    assert sampled == replace(greedy, samples=4, temperature=0.5, top_k=9)


def answered(*texts):
    return [Answered(Prompt("f", i, ""), Answer(text, 1, "stop")) for i, text in enumerate(texts)]


def test_samples_are_for_all_facts_or_for_those_without_a_verbatim_greedy_answer():
    golds = pd.Series({"f": ("the other", "thing 1")})
    everything, some = exactly(golds, "all"), exactly(golds, "unsolved")
    assert everything.settled is None and some.settled is None  # every prompt is asked
    for texts, wanted in ((("thing 1", "no"), False), (("no", "the\u00a0other"), False), (("thing 12", "no"), True)):
        assert everything.wants_samples(answered(*texts))
        assert some.wants_samples(answered(*texts)) == wanted
