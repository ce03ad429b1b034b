from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from gradual.base_model import load_model, load_tokenizer
from gradual.engines import load_engine
from gradual.engines.interface import Decoding, Prompt
from gradual.engines.transformers import TransformersEngine, check_attention
from gradual.errors import InputError
from gradual.probing import fact_prompts
from gradual.prompts import ExemplarPool, PromptSettings, plain, seeded
from tiny import base_model, facts


def groups(prompts=3, split="train"):
    table = facts()
    pool = ExemplarPool(table, "train", "facts")
    asked = table[table["split"] == split]
    return list(fact_prompts(asked, pool, PromptSettings(0, 4, "per_fact"), prompts, plain))


def answers(engine, asked, decoding, wants=lambda _: True):
    return {(a.prompt.fact_id, a.prompt.index): a for group in engine.answer(asked, decoding, wants) for a in group}


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def engine(handle):
    return load_engine("transformers", handle, [], "plain", "float32")


def test_greedy_answers_are_token_for_token_those_of_generate(handle, engine):
    import torch

    tokenizer, model = load_tokenizer(handle), load_model(handle, [], "float32")
    found = answers(engine, groups(), Decoding(12, ("\n",)))
    for (_, _), answered in list(found.items())[:24]:
        ids = tokenizer(answered.prompt.text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=12, do_sample=False, stop_strings=["\n"], tokenizer=tokenizer)
        new = out[0, ids.shape[1] :]
        text = tokenizer.decode(new, skip_special_tokens=True)
        assert answered.greedy.text == text.partition("\n")[0].strip()
        assert answered.greedy.tokens == len(new)
        ended = "\n" in text or new[-1] == tokenizer.eos_token_id
        assert answered.greedy.finish == ("stop" if ended else "length")


def test_batch_and_order_change_no_answer(handle, engine):
    decoding = Decoding(8, ("\n",), samples=8, temperature=0.7, top_k=20, seed=3)
    asked = groups()
    small = TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, 64, 256)
    one, other = answers(engine, asked, decoding), answers(small, asked[::-1], decoding)
    assert one == other


def sample_alone(model, tokenizer, prompt, decoding, sample):
    """The reference: one sample, token by token, from its own stream of uniform numbers."""
    import torch

    uniforms = np.random.Generator(np.random.Philox(key=seeded(decoding.seed, prompt.fact_id, prompt.index))).random(
        (decoding.samples, decoding.max_new_tokens)
    )
    ids = tokenizer(prompt.text)["input_ids"]
    new = []
    for step in range(decoding.max_new_tokens):
        logits = model(torch.tensor([ids + new])).logits[0, -1] / decoding.temperature
        best = torch.topk(logits, decoding.top_k)
        cumulative = torch.softmax(best.values.double(), -1).cumsum(-1).numpy()
        place = min(int((cumulative < uniforms[sample, step]).sum()), decoding.top_k - 1)
        new.append(int(best.indices[place]))
        if new[-1] in tokenizer.all_special_ids or "\n" in tokenizer.decode(new[-1:]):
            break
    return tokenizer.decode(new, skip_special_tokens=True).partition("\n")[0].strip()


def test_the_tree_gives_the_answers_that_sampling_one_by_one_gives(handle, engine):
    import torch

    tokenizer, model = load_tokenizer(handle), load_model(handle, [], "float32")
    decoding = Decoding(6, ("\n",), samples=16, temperature=0.5, top_k=40, seed=11)
    found = list(answers(engine, groups(), decoding).values())[::9]
    for answered in found:
        with torch.inference_mode():
            alone = Counter(sample_alone(model, tokenizer, answered.prompt, decoding, s) for s in range(16))
        tree = Counter()
        for answer in answered.sampled:
            tree[answer.text] += answer.count
        assert tree == alone


def test_first_sampled_tokens_follow_the_model_distribution(handle, engine):
    """A chi-square test of 4,000 draws against the softmax at the temperature, top-k cut."""
    import torch

    model, tokenizer = load_model(handle, [], "float32"), load_tokenizer(handle)
    prompt = groups()[0][0]
    with torch.inference_mode():
        logits = model(tokenizer(prompt.text, return_tensors="pt")["input_ids"]).logits[0, -1]
    best = torch.topk(logits / 0.9, 10)
    expected = dict(zip(best.indices.tolist(), (torch.softmax(best.values, -1) * 4000).tolist(), strict=True))
    decoding = Decoding(1, (), samples=4000, temperature=0.9, top_k=10, seed=5)
    (answered,) = answers(engine, [[prompt]], decoding).values()
    assert sum(a.count for a in answered.sampled) == 4000
    texts = Counter()
    for token, count in expected.items():
        texts[tokenizer.decode([token], skip_special_tokens=True).strip()] += count
    drawn = Counter()
    for answer in answered.sampled:
        drawn[answer.text] += answer.count
    assert set(drawn) <= set(texts)
    keys = [key for key, count in texts.items() if count >= 5]
    rest = 4000 - sum(texts[k] for k in keys)
    observed = [drawn[k] for k in keys] + ([4000 - sum(drawn[k] for k in keys)] if rest > 1 else [])
    wanted = [texts[k] for k in keys] + ([rest] if rest > 1 else [])
    wanted = np.array(wanted) * sum(observed) / sum(wanted)
    assert stats.chisquare(observed, wanted).pvalue > 1e-4


def test_only_the_groups_that_want_samples_get_them(engine):
    asked = groups()
    wanted = {asked[0][0].fact_id}
    decoding = Decoding(4, ("\n",), samples=4, temperature=1.0, top_k=5)
    found = answers(engine, asked, decoding, lambda group: group[0].prompt.fact_id in wanted)
    for (fact_id, _), answered in found.items():
        assert sum(a.count for a in answered.sampled) == (4 if fact_id in wanted else 0)


def test_an_answer_ends_at_a_stop_string_that_spans_tokens(handle, engine):
    asked = groups(1)
    free = answers(engine, asked, Decoding(12, ()))
    stop = next(a.greedy.text[2:5] for a in free.values() if len(a.greedy.text) > 8 and a.greedy.text[2:5].strip())
    stopped = answers(engine, asked, Decoding(12, (stop,)))
    assert any(a.greedy.finish == "stop" for a in stopped.values())
    assert all(stop not in a.greedy.text for a in stopped.values())
    for key, answer in stopped.items():
        if stop not in free[key].greedy.text:
            assert answer.greedy == free[key].greedy


def test_usage_counts_prompts_and_cut_off_answers(handle):
    engine = load_engine("transformers", handle, [], "plain", "float32")
    asked = groups(2)
    found = answers(engine, asked, Decoding(1, ()))
    assert engine.usage.prompts == len(found) == 2 * len(asked)
    assert engine.usage.answer_tokens == len(found)
    assert engine.usage.cut_off == sum(a.greedy.finish == "length" for a in found.values())
    assert engine.usage.prompt_tokens == sum(
        len(engine.tokenizer(p.text)["input_ids"]) for group in asked for p in group
    )


def test_a_prompt_longer_than_the_batch_is_still_answered(handle):
    engine = TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, 1, 1)
    prompt = Prompt("f", 0, "Q: What is this?\nA:")
    assert len(answers(engine, [[prompt]], Decoding(3, ("\n",)))) == 1


def limited(handle, positions):
    model = load_model(handle, [], "float32")
    model.config.max_position_embeddings = positions
    return TransformersEngine(model, load_tokenizer(handle), True)


def test_a_prompt_that_the_models_positions_do_not_reach_is_refused(handle):
    """A rotary model would answer beyond them, and the answer would be noise."""
    short, long = Prompt("f1", 0, "Q: What?\nA:"), Prompt("f2", 3, "Q: What is r0 of train subject 1?\nA:" * 9)
    length = len(load_tokenizer(handle)(long.text)["input_ids"])
    message = (
        f"fact f2, prompt 3: a prompt of {length} tokens and 5 for the answer; expected at most the model's {length}"
    )
    with pytest.raises(InputError) as caught:
        answers(limited(handle, length), [[short], [long]], Decoding(5, ("\n",)))
    assert str(caught.value) == f"{message} (fewer probe.shots or probe.max_new_tokens, or shorter facts)"


def test_a_prompt_that_just_fits_is_answered(handle):
    prompt = Prompt("f2", 3, "Q: What is r0 of train subject 1?\nA:" * 9)
    length = len(load_tokenizer(handle)(prompt.text)["input_ids"])
    assert len(answers(limited(handle, length + 5), [[prompt]], Decoding(5, ("\n",)))) == 1


@pytest.mark.parametrize("change", [{"model_type": "gemma2"}, {"layer_types": ["full_attention", "sliding_attention"]}])
def test_a_model_with_other_attention_is_refused(handle, change):
    config = load_model(handle, [], "float32").config
    values = {"model_type": config.model_type, "layer_types": ["full_attention"] * 2}
    check_attention(SimpleNamespace(**values))
    with pytest.raises(InputError, match="transformers cannot probe a"):
        check_attention(SimpleNamespace(**values | change))
