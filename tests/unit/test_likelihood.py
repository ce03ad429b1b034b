"""The likelihood of a gold answer against all answers that there are, and against draws."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from gradual.base_model import load_model, load_tokenizer
from gradual.engines import load_engine
from gradual.engines.interface import Asking, Decoding, Prompt
from gradual.engines.likelihood import Gold, GoldAnswers, forced, likelihood, likelihoods
from gradual.probing import fact_prompts
from gradual.prompts import ExemplarPool, PromptSettings, plain
from tiny import base_model, chat_model, facts

DECODING = Decoding(16, ("\n",), samples=16, temperature=0.8, top_k=6)


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def model(handle):
    return load_model(handle, [], "float32")


@pytest.fixture(scope="module")
def tokenizer(handle):
    return load_tokenizer(handle)


@pytest.fixture(scope="module")
def prompts():
    table = facts()
    asked = table[table["split"] == "train"]
    groups = fact_prompts(asked, ExemplarPool(table, "train", "facts"), PromptSettings(0, 4, "per_fact"), 2, plain)
    return [prompt for group in groups for prompt in group]


def encode(tokenizer, prompt):
    return tokenizer(prompt.text)["input_ids"]


def after(model, ids):
    """The logits (vocabulary) after the tokens."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0, -1]


def next_token(model, ids, decoding):
    """The distribution of a draw's next token, from the definition: {token: probability}."""
    import torch

    best = torch.topk(after(model, ids).double() / decoding.temperature, decoding.top_k)
    return dict(zip(best.indices.tolist(), torch.softmax(best.values, -1).tolist(), strict=True))


def all_draws(model, ids, decoding):
    """Every answer of three tokens that can be drawn, with its probability."""
    found = {}
    for first, p in next_token(model, ids, decoding).items():
        for second, q in next_token(model, [*ids, first], decoding).items():
            for third, r in next_token(model, [*ids, first, second], decoding).items():
                found[first, second, third] = p * q * r
    return found


def by_plain_calls(model, tokenizer, asked, decoding):
    """The likelihoods by one call of the model per prompt, the logits put together as an engine does."""
    import torch

    found = []
    for prompt in asked:
        ids = encode(tokenizer, prompt)
        golds = GoldAnswers(tokenizer, True, decoding).of([prompt], [ids])
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids + forced(golds)[0]])).logits[:, len(ids) - 1 :]
        found += likelihoods(logits, golds, decoding)
    return found


def test_a_likelihood_is_the_sum_over_all_draws_that_begin_with_the_answer(model, tokenizer, prompts):
    """The gold ones are of two tokens, the draws of three."""
    import torch

    prompt, decoding = prompts[0], replace(DECODING, max_new_tokens=3, stop=())
    ids = encode(tokenizer, prompt)
    draws = all_draws(model, ids, decoding)
    assert sum(draws.values()) == pytest.approx(1)
    logits = {first: [after(model, ids), after(model, [*ids, first])] for first in {tokens[0] for tokens in draws}}
    for first, second in itertools.islice({tokens[:2] for tokens in draws}, 12):
        others = {tokens[1] for tokens in draws if tokens[0] == first and tokens[1] % 2 == second % 2}
        gold = Gold((first, second), frozenset(others))  # the last token may be any of several
        expected = sum(p for tokens, p in draws.items() if tokens[0] == first and tokens[1] in others)
        assert likelihoods(torch.stack(logits[first])[None], [gold], decoding) == [pytest.approx(expected, rel=1e-5)]


def test_a_token_beyond_the_top_k_makes_it_impossible(model, tokenizer, prompts):
    import torch

    order = after(model, encode(tokenizer, prompts[0])).argsort(descending=True).tolist()
    logits = after(model, encode(tokenizer, prompts[0]))[None, None]
    inside, outside = (Gold((order[place],), frozenset({order[place]})) for place in (5, 6))
    assert likelihoods(logits, [inside], DECODING)[0] > 0
    assert likelihoods(logits, [outside], DECODING) == [0.0]
    whole = likelihoods(logits, [outside], replace(DECODING, top_k=0))
    assert whole == [pytest.approx(torch.softmax(logits[0, 0].double() / 0.8, -1)[order[6]].item(), rel=1e-5)]


def test_rows_of_several_lengths_are_padded_and_not_read_beyond_their_end(model, tokenizer, prompts):
    import torch

    asked = [replace(prompts[0], gold=gold) for gold in (" thing 1", " thing", " What is it", "")]
    ids = encode(tokenizer, prompts[0])
    golds = GoldAnswers(tokenizer, True, DECODING).of(asked, [ids] * len(asked))
    assert len({len(gold.tokens) for gold in golds}) > 2
    rows = forced(golds)
    assert {len(row) for row in rows} == {max(len(gold.tokens) for gold in golds) - 1}
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids + row for row in rows])).logits[:, len(ids) - 1 :]
    found = likelihoods(logits, golds, replace(DECODING, top_k=0))
    assert found == pytest.approx(
        by_plain_calls(model, tokenizer, asked[:3], replace(DECODING, top_k=0)) + [0.0], rel=1e-4
    )
    assert forced([Gold(), Gold((5,), frozenset({5}))]) == [[], []]


def said_by(tokenizer, prompt, tokens):
    """The prompt with the answer that these tokens say, if the tokenizer reads it as these tokens again, else None."""
    ids, gold = encode(tokenizer, prompt), tokenizer.decode(tokens)
    read = tokenizer(prompt.text + gold)["input_ids"]
    return replace(prompt, gold=gold) if read == [*ids, *tokens] and gold.strip() else None


def test_of_20000_draws_as_many_begin_with_the_answer_as_its_likelihood_says(handle, model, tokenizer, prompts):
    engine = load_engine("transformers", handle, [], "plain", "float32")
    decoding = replace(DECODING, max_new_tokens=3, samples=20_000, seed=3, stop=())
    random, checked = np.random.default_rng(0), 0
    for prompt in prompts[:4]:
        draws = all_draws(model, encode(tokenizer, prompt), decoding)
        drawn = dict(zip(draws, random.multinomial(20_000, list(draws.values())), strict=True))
        ((answered,),) = engine.answer([[prompt]], decoding, Asking(lambda _: True))
        wanted = [said_by(tokenizer, prompt, tokens[:2]) for tokens in sorted(draws, key=draws.get)[-12:]]
        for asked in {asked.gold: asked for asked in wanted if asked}.values():
            (gold,) = GoldAnswers(tokenizer, True, decoding).of([asked], [encode(tokenizer, prompt)])
            (p,) = by_plain_calls(model, tokenizer, [asked], decoding)
            begun = sum(n for tokens, n in drawn.items() if tokens[0] == gold.tokens[0] and tokens[1] in gold.last)
            reach = 4.5 * (20_000 * p * (1 - p)) ** 0.5 + 1
            assert abs(begun - 20_000 * p) < reach
            # The engine's own draws, by their texts: at least as many, as other tokens may say the same.
            texts = sum(a.count for a in answered.sampled if a.text.startswith(asked.gold.strip()))
            assert texts > 20_000 * p - reach
            checked += 0.01 < p < 0.99
    assert checked >= 4


def test_likelihoods_add_up_over_what_can_be_said(model, tokenizer, prompts):
    """The answers of one token share out the first place: none is counted twice where the last token is its own alone."""
    logits = after(model, encode(tokenizer, prompts[0]))[None, None]
    each = [likelihoods(logits, [Gold((t,), frozenset({t}))], DECODING)[0] for t in range(logits.shape[-1])]
    assert sum(each) == pytest.approx(1) and sum(p > 0 for p in each) == DECODING.top_k


def test_the_last_token_may_reach_beyond_the_answer(tokenizer):
    read = GoldAnswers(tokenizer, True, DECODING)
    prompt = Prompt("f", 0, "Q: What is it?\nA:", " thing")
    (gold,) = read.of([prompt], [encode(tokenizer, prompt)])
    assert tokenizer.decode(gold.tokens) == " thing"
    begins = tokenizer.decode(gold.tokens[-1:])
    every = {t for t in range(len(tokenizer)) if tokenizer.decode([t]).startswith(begins)}
    assert gold.tokens[-1] in gold.last and gold.last == every - set(tokenizer.all_special_ids)


def test_an_answer_that_no_draw_can_hold_has_no_tokens_and_no_likelihood(tokenizer):
    prompt = Prompt("f", 0, "Q: What is it?\nA:", " thing 1")
    ids = encode(tokenizer, prompt)
    (gold,) = GoldAnswers(tokenizer, True, DECODING).of([prompt], [ids])
    short = replace(DECODING, max_new_tokens=len(gold.tokens) - 1)
    stopped = replace(DECODING, stop=("\n", "ng"))
    for decoding in (short, stopped):
        assert GoldAnswers(tokenizer, True, decoding).of([prompt], [ids]) == [Gold()]
    assert likelihood([], Gold(), DECODING) == 0.0
    exactly = replace(DECODING, max_new_tokens=len(gold.tokens))
    assert GoldAnswers(tokenizer, True, exactly).of([prompt], [ids]) == [gold]


def test_an_answer_that_shares_a_token_with_the_prompts_end_is_read_alone(tokenizer):
    """`thi` + `ng` are one token together; a draw after the prompt cannot give it."""
    prompt = Prompt("f", 0, "Q: What is it?\nA: thi", "ng 1")
    ids = encode(tokenizer, prompt)
    joint = tokenizer(prompt.text + prompt.gold)["input_ids"]
    assert joint[: len(ids)] != ids
    (gold,) = GoldAnswers(tokenizer, True, DECODING).of([prompt], [ids])
    assert tokenizer.decode(gold.tokens) == "ng 1"


def test_plain_and_chat_answers_continue_their_prompts(tmp_path):
    tokenizer = load_tokenizer(chat_model(tmp_path))
    from gradual.prompts import BEFORE_ANSWER, renderer

    for style, special in (("plain", True), ("chat", False)):
        text = renderer(style, tokenizer)([], "What is r0?")
        prompt = Prompt("f", 0, text, BEFORE_ANSWER[style] + "thing 1")
        ids = tokenizer(text, add_special_tokens=special)["input_ids"]
        (gold,) = GoldAnswers(tokenizer, special, DECODING).of([prompt], [ids])
        assert tokenizer.decode(gold.tokens) == ("thing 1" if style == "chat" else " thing 1")
        whole = tokenizer(f"{prompt.text}{prompt.gold}", add_special_tokens=special)["input_ids"]
        assert ids + list(gold.tokens) == whole
