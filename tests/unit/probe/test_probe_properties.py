"""The fast probe against the plain path, on whatever hypothesis thinks of: random prompts, stop strings and batches, fp32.

Examples are the same at every run (derandomize). Tests of distributions say how often a sound engine would fail them; with
these seeds it does not.
"""

from collections import Counter
from functools import cache
from itertools import islice

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy import stats

from gradual.knowledge.categories import FULL, categorize
from gradual.knowledge.scoring import count_right, grade
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Asking, Decoding, Prompt
from gradual.probe.engines.transformers import TransformersEngine
from gradual.probe.engines.wave import Limits
from gradual.probe.generations import GENERATION_COLUMNS
from gradual.probe.plain_generate import PlainGenerate
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts, shard, unsolved
from gradual.probe.recording import generation_rows
from tiny import base_model, facts

WORDS = ("Q:", "A:", "What is", "r0", "r1", "of", "train subject", "thing", "3", "12", "\n", "?", "é", " ")
ALWAYS = Asking(lambda _: True)
# Without shrinking: with a model it takes minutes.
same = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
many, few = settings(same, max_examples=40), settings(same, max_examples=6)


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


@cache
def loaded(handle):
    """The engine, and the plain path's own copy of the model."""
    tokenizer = load_tokenizer(handle)
    engine = TransformersEngine(load_model(handle, [], "float32"), tokenizer, True)
    return engine, load_model(handle, [], "float32"), tokenizer


def engine_of(handle, batch_tokens, wave_tokens):
    engine, *_ = loaded(handle)
    engine.limits = Limits(batch_tokens, wave_tokens)
    return engine


def prompts_of_facts(prompts, table=None):
    pool = ExemplarPool(facts(), "train", "facts")
    return list(
        fact_prompts(train() if table is None else table, pool, PromptSettings(0, 2, "per_fact"), prompts, plain)
    )


def train():
    return facts().query("split == 'train'")


# --- greedy answers ---------------------------------------------------------------------------------------------------

texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
# Groups share a prefix of random length, as relations do; some prompts are short, some equal.
asked = st.tuples(texts, st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=5)).map(
    lambda drawn: [
        [Prompt(f"f{g}", p, f"Q: {drawn[0]}{text}\nA:") for p, text in enumerate(group)]
        for g, group in enumerate(drawn[1])
    ]
)
stops = st.lists(st.sampled_from(["\n", "z", " 1", "th", "ing\n", "?!", "A:"]), max_size=3, unique=True).map(tuple)
tokens = st.integers(1, 400)


@many
@given(asked, stops, st.integers(0, 6), st.integers(1, 12), tokens, tokens, st.sampled_from([1, 1.4]))
def test_greedy_answers_are_token_for_token_those_of_generate(handle, groups, stop, at, longest, batch, wave, penalty):
    _, model, tokenizer = loaded(handle)
    free = PlainGenerate(model, tokenizer, True, Decoding(12, ())).greedy(groups[0][:1])[0].text
    said = free[at : at + 3]  # a stop string that is met, and may span tokens
    met = [said] if said.strip() and "\ufffd" not in said else []
    decoding = Decoding(longest, (*stop, *met), repetition_penalty=penalty)
    path = PlainGenerate(model, tokenizer, True, decoding)
    found = list(engine_of(handle, batch, wave).answer(iter(groups), decoding))
    assert [[(a.prompt, a.greedy) for a in group] for group in found] == [
        [*zip(group, path.greedy(group), strict=True)] for group in groups
    ]


# --- sampled answers --------------------------------------------------------------------------------------------------

DRAWS, PROMPTS = 400, 12


def table_pvalue(one: Counter, other: Counter) -> tuple[float, int]:
    """Chi-square of homogeneity and its degrees of freedom; answers that few draws gave are taken together."""
    both = pd.DataFrame({"one": one, "other": other}).fillna(0)
    rare = both.sum(axis=1) < 10
    both = pd.concat([both[~rare], both[rare].sum().to_frame("rare").T])
    both = both[both.sum(axis=1) > 0]
    if len(both) < 2:
        return 0.0, 0
    found = stats.chi2_contingency(both, correction=False)
    return float(found.statistic), int(found.dof)


def test_whole_sampled_answers_are_distributed_as_those_of_generate(handle):
    """A sound engine fails once in 10,000 seeds: a chi-square over 12 prompts, 400 draws either way."""
    _, model, tokenizer = loaded(handle)
    decoding = Decoding(3, ("\n", "z"), samples=DRAWS, temperature=0.03, top_k=5, seed=7)
    groups = prompts_of_facts(1)[:PROMPTS]
    path = PlainGenerate(model, tokenizer, True, decoding)
    statistic, dof = 0.0, 0
    for (answered,) in engine_of(handle, 500, 1000).answer(iter(groups), decoding, ALWAYS):
        one = Counter()
        for answer in answered.sampled:
            one[answer.text] += answer.count
        reached, free = table_pvalue(one, path.sampled([answered.prompt], DRAWS)[0])
        statistic, dof = statistic + reached, dof + free
    assert dof > 3 * PROMPTS  # there is something to tell
    assert stats.chi2.sf(statistic, dof) > 1e-4


# --- categories -------------------------------------------------------------------------------------------------------

KINDS = 4  # of gold answers
SAMPLING = Decoding(3, ("\n",), samples=8, temperature=0.03, top_k=5, seed=3)


@cache
def golds(handle):
    """Answers that make facts of all categories: such as all greedy answers hold, one, only a sampled one, none."""
    found = {}
    engine = engine_of(handle, 16384, 262144)
    for i, group in enumerate(engine.answer(iter(prompts_of_facts(4)), SAMPLING, ALWAYS)):
        said = [a.greedy.text for a in group]
        sampled = [answer.text for a in group for answer in a.sampled if not any(answer.text in text for text in said)]
        shared = [letter for letter in said[0] if all(letter in text for text in said)]
        choices = (shared, said, sampled, [])
        found[group[0].prompt.fact_id] = (next((text for text in choices[i % KINDS] if text), "no such thing"),)
    return pd.Series(found)


def categories(handle, streams):
    """The facts' right answers and categories from the rows that streams of answers give."""
    rows = [row for stream in streams for group in stream for row in generation_rows(group)]
    graded = grade(pd.DataFrame(rows, columns=GENERATION_COLUMNS), golds(handle))
    return categorize(count_right(graded), "substring", "full", "generations")


def answered(handle, groups, batch=16384, wave=262144):
    return engine_of(handle, batch, wave).answer(iter(groups), SAMPLING, Asking(unsolved(golds(handle))))


@cache
def reference(handle):
    return categories(handle, [answered(handle, prompts_of_facts(4))])


def test_the_facts_are_of_all_categories(handle):
    """Else the tests below would say little."""
    assert set(reference(handle)["category"]) == {*FULL}


@few
@given(order=st.permutations(range(len(train()))), batch=tokens, wave=st.integers(1, 4000))
def test_batches_waves_and_the_order_of_facts_change_no_category(handle, order, batch, wave):
    groups = prompts_of_facts(4)
    found = categories(handle, [answered(handle, [groups[i] for i in order], batch, wave)])
    assert found.equals(reference(handle))


@few
@given(count=st.integers(1, 20), batch=tokens)
def test_the_number_of_shards_changes_no_category(handle, count, batch):
    parts = [prompts_of_facts(4, shard(train(), i, count)) for i in range(count)]
    assert categories(handle, [answered(handle, part, batch) for part in parts]).equals(reference(handle))


@few
@given(cut=st.integers(0, len(train())), wave=st.integers(1, 4000))
def test_a_stream_that_is_cut_and_begun_again_changes_no_category(handle, cut, wave):
    groups = prompts_of_facts(4)
    begun = answered(handle, groups, wave=wave)
    first = list(islice(begun, cut))
    begun.close()
    rest = answered(handle, groups[cut:], wave=wave)
    assert categories(handle, [first, rest]).equals(reference(handle))
