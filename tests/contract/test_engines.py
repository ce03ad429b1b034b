"""What every engine must do alike: the same answers, counts and errors, whichever library runs the model.

The reference is `model.generate` of transformers, in fp32. Run by the study's environment, the suite tests the transformers
engine; run by the probe's (make test-vllm), both.
"""

import json
import shutil
from collections import Counter
from dataclasses import replace
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import stats
from tokenizers import Tokenizer, decoders

from damage import edit_weights
from gradual.ground.errors import InputError
from gradual.models.handle import write_handle
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import ROUND, Answer, Asking, Decoding, Deployment, Prompt, Usage
from gradual.probe.engines.load import load_engine
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts
from tiny import base_model, facts, write_adapter

GREEDY = Decoding(12, ("\n",))
MISSING = None if find_spec("vllm") else "vllm is not installed here: make test-vllm"


class Loader:
    """Loads engines, one at a time, which are slow to start: tests that want the same one after another get the same.

    A test that changes its engine asks for a `fresh` one: none that another has changed, and no other gets it. The engine's
    usage counts from then on, and its limits are those that it was loaded with.
    """

    def __init__(self, name):
        self.name, self.key, self.engine, self.limits = name, None, None, None

    def __call__(self, handle, adapters=(), deployment=Deployment(), fresh=False):  # noqa: B008
        key = (handle, *adapters, deployment)
        if key != self.key:
            self.close()
            self.engine = load_engine(self.name, handle, list(adapters), "plain", "float32", deployment)
            self.limits = self.engine.limits
        self.key = None if fresh else key
        self.engine.usage, self.engine.limits = Usage(), self.limits
        return self.engine

    def close(self):
        if hasattr(self.engine, "close"):
            self.engine.close()
        self.key = self.engine = None


@pytest.fixture(
    scope="module",
    params=[
        "transformers",
        *(
            pytest.param(name, marks=pytest.mark.skipif(bool(MISSING), reason=MISSING or "-"))
            for name in ("vllm", "vllm_lora")
        ),
    ],
)
def load(request):
    loader = Loader(request.param)
    yield loader
    loader.close()


@pytest.fixture(scope="session", params=["qwen2", "llama"])  # all engines get the same model, one after another
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def adapters(handle, tmp_path_factory):
    """Three adapters of the model; the last one's products are zero, as training would leave them that did nothing."""
    folder = tmp_path_factory.mktemp("adapters")
    targets = ("q_proj", "v_proj", "down_proj")
    return [
        write_adapter(handle, folder / str(seed), seed, targets, scale) for seed, scale in enumerate((0.3, 0.4, 0.0))
    ]


def groups(prompts=3, split="train", exemplars="per_fact"):
    table = facts()
    pool = ExemplarPool(table, "train", "facts")
    asked = table[table["split"] == split]
    return list(fact_prompts(asked, pool, PromptSettings(0, 4, exemplars), prompts, plain))


def answers(engine, asked, decoding, wants=lambda _: True):
    return {
        (a.prompt.fact_id, a.prompt.index): a for group in engine.answer(asked, decoding, Asking(wants)) for a in group
    }


def generated_tokens(handle, adapters, asked, decoding):
    """The tokens of each prompt's greedy answer that `generate` gives."""
    return _generated_tokens(handle, (*adapters,), tuple(prompt for group in asked for prompt in group), decoding)


@cache  # all engines are compared with the same answers
def _generated_tokens(handle, adapters, prompts, decoding):
    import torch

    tokenizer, model = load_tokenizer(handle), load_model(handle, [*adapters], "float32")
    found = {}
    for prompt in prompts:
        ids = tokenizer(prompt.text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=decoding.max_new_tokens,
                do_sample=False,
                eos_token_id=tokenizer.all_special_ids,
                stop_strings=list(decoding.stop) or None,
                tokenizer=tokenizer,
                repetition_penalty=decoding.repetition_penalty,
            )
        found[prompt.fact_id, prompt.index] = out[0, ids.shape[1] :].tolist()
    return found


def generated(handle, adapters, asked, decoding):
    """The greedy answers that `generate` gives."""
    tokenizer, found = load_tokenizer(handle), {}
    for key, new in generated_tokens(handle, adapters, asked, decoding).items():
        text = tokenizer.decode(new, skip_special_tokens=True)
        ended = any(stop in text for stop in decoding.stop) or new[-1] in tokenizer.all_special_ids
        for stop in decoding.stop:
            text = text.partition(stop)[0]
        found[key] = Answer(text.strip(), len(new), "stop" if ended else "length")
    return found


def greedy(engine, asked, decoding=GREEDY):
    return {key: answered.greedy for key, answered in answers(engine, asked, decoding, lambda _: False).items()}


def narrow(engine):
    """Make the engine take far less at a time."""
    less = {"sequences": 4} if hasattr(engine.limits, "sequences") else {"batch_tokens": 64, "wave_tokens": 256}
    engine.limits = replace(engine.limits, **less)


def test_greedy_answers_are_token_for_token_those_of_generate(load, handle):
    asked = groups()
    assert greedy(load(handle), asked) == generated(handle, [], asked, GREEDY)


def test_groups_come_in_order_and_whole(load, handle):
    asked = [group[: 1 + i % 3] for i, group in enumerate(groups())]
    asked.insert(2, [])
    found = [[a.prompt for a in group] for group in load(handle).answer(iter(asked), Decoding(4, ("\n",)))]
    assert found == asked


def test_only_the_groups_that_want_samples_get_them(load, handle):
    asked = groups()
    wanted = {asked[0][0].fact_id, asked[7][0].fact_id}
    decoding = Decoding(4, ("\n",), samples=4, temperature=1.0, top_k=5)
    found = answers(load(handle), asked, decoding, lambda group: group[0].prompt.fact_id in wanted)
    for (fact_id, _), answered in found.items():
        assert sum(a.count for a in answered.sampled) == (4 if fact_id in wanted else 0)
    assert {key: answered.greedy for key, answered in found.items()} == greedy(load(handle), asked, decoding)


def test_samples_are_told_apart_counted_and_sorted(load, handle):
    decoding = Decoding(6, ("\n",), samples=16, temperature=1.0, top_k=40, seed=3)
    found = answers(load(handle), groups(1), decoding)
    assert len({answered.sampled for answered in found.values()}) == len(found)  # each prompt has samples of its own
    for answered in found.values():
        assert 1 < len(set(answered.sampled)) == len(answered.sampled)
        assert sum(answer.count for answer in answered.sampled) == 16


def test_a_seed_gives_the_same_samples_again_and_another_seed_others(load, handle):
    decoding = Decoding(6, ("\n",), samples=8, temperature=0.7, top_k=20, seed=3)
    one = answers(load(handle), groups(1), decoding)
    assert answers(load(handle), groups(1), decoding) == one
    assert answers(load(handle), groups(1), replace(decoding, seed=4)) != one


def test_first_sampled_tokens_follow_the_model_distribution(load, handle):
    """A chi-square test of 4,000 draws against the softmax at the temperature, top-k cut."""
    import torch

    model, tokenizer = load_model(handle, [], "float32"), load_tokenizer(handle)
    prompt = groups()[0][0]
    with torch.inference_mode():
        logits = model(tokenizer(prompt.text, return_tensors="pt")["input_ids"]).logits[0, -1]
    best = torch.topk(logits / 0.9, 10)
    expected = dict(zip(best.indices.tolist(), (torch.softmax(best.values, -1) * 4000).tolist(), strict=True))
    decoding = Decoding(1, (), samples=4000, temperature=0.9, top_k=10, seed=5)
    (answered,) = answers(load(handle), [[prompt]], decoding).values()
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


def test_an_answer_ends_at_a_stop_string_that_spans_tokens(load, handle):
    asked = groups(1)
    free = greedy(load(handle), asked, Decoding(12, ()))
    tokenizer = load_tokenizer(handle)
    spans = (a.text[2:5] for a in free.values() if len(a.text) > 8 and a.text[2:5].strip() and "\ufffd" not in a.text)
    stop = next(text for text in spans if len(tokenizer(text, add_special_tokens=False)["input_ids"]) > 1)
    decoding = Decoding(12, (stop, "\n"))
    stopped = greedy(load(handle), asked, decoding)
    assert stopped == generated(handle, [], asked, decoding)
    assert any(a.finish == "stop" and stop in free[key].text for key, a in stopped.items())


def test_a_repetition_penalty_is_that_of_generate(load, handle):
    asked, decoding = groups(1), replace(GREEDY, repetition_penalty=1.5)
    found = greedy(load(handle), asked, decoding)
    assert found == generated(handle, [], asked, decoding)
    assert found != greedy(load(handle), asked)


def test_usage_counts_prompts_tokens_and_cut_off_answers(load, handle):
    engine = load(handle)
    asked = groups(2)
    decoding = Decoding(3, ("\n",), samples=4, temperature=1.0, top_k=40)
    found = answers(engine, asked, decoding, lambda group: group[0].prompt.fact_id == asked[0][0].fact_id)
    given = [(a, a.count) for answered in found.values() for a in (answered.greedy, *answered.sampled)]
    assert engine.usage.prompts == len(found) == 2 * len(asked)
    assert engine.usage.answer_tokens == sum(a.tokens * count for a, count in given)
    assert engine.usage.cut_off == sum(count for a, count in given if a.finish == "length")
    tokens = sum(len(engine.tokenizer(p.text)["input_ids"]) for group in asked for p in group)
    assert engine.usage.prompt_tokens == tokens
    decoded = sum((a.tokens - 1) * count for a, count in given)
    assert 0 < engine.usage.computed_tokens <= tokens + decoded + 2 * 4 * max(32, tokens)


def until(greedy, sampled):
    """Settled after so many greedy answers, by fact, or (none there: not by these) so many prompts with sampled ones."""

    def settled(answered):
        fact_id, with_samples = answered[0].prompt.fact_id, sum(bool(a.sampled) for a in answered)
        if with_samples:
            return with_samples >= sampled[fact_id]
        return len(answered) >= greedy.get(fact_id, len(answered) + 1)

    return settled


def in_rounds(number, prompts):
    """The prompts that are asked where the group is settled after so many."""
    return min(-(-number // ROUND) * ROUND, prompts)


def test_a_group_is_asked_in_rounds_until_it_is_settled(load, handle):
    asked, decoding = groups(5), Decoding(8, ("\n",), samples=8, temperature=0.7, top_k=20, seed=3)
    facts = [group[0].fact_id for group in asked]
    greedy = {fact_id: 1 + i % 7 for i, fact_id in enumerate(facts) if i % 7 < 5}
    sampled = {fact_id: 1 + i // 7 for i, fact_id in enumerate(facts)}
    exact = answers(load(handle), asked, decoding)
    engine = load(handle)
    narrow(engine)
    found = list(engine.answer(iter(asked), decoding, Asking(lambda _: True, until(greedy, sampled))))
    assert len({len(group) for group in found}) > 1 and len(found) == len(asked)
    for group, answered in zip(asked, found, strict=True):
        fact_id = group[0].fact_id
        count = in_rounds(greedy.get(fact_id, 5), 5)
        assert [a.prompt for a in answered] == group[:count]
        drawn = 0 if fact_id in greedy else in_rounds(sampled[fact_id], 5)
        whole = [exact[a.prompt.fact_id, a.prompt.index] for a in answered]
        assert answered == [a if i < drawn else replace(a, sampled=()) for i, a in enumerate(whole)]
    texts = [a.prompt.text for answered in found for a in answered]
    given = [(x, x.count) for answered in found for a in answered for x in (a.greedy, *a.sampled)]
    assert engine.usage.prompts == len(texts)
    assert engine.usage.prompt_tokens == sum(len(engine.tokenizer(text)["input_ids"]) for text in texts)
    assert engine.usage.answer_tokens == sum(a.tokens * count for a, count in given)


def test_greedy_answers_alone_are_asked_until_settled_too(load, handle):
    asked = groups()
    found = list(load(handle).answer(iter([*asked, []]), GREEDY, Asking(settled=lambda _: True)))
    assert [[a.prompt for a in answered] for answered in found] == [*(group[:ROUND] for group in asked), []]
    exact = greedy(load(handle), asked)
    assert all(a == replace(a, greedy=exact[a.prompt.fact_id, a.prompt.index]) for group in found for a in group)


def test_batch_and_order_change_no_answer(load, handle):
    decoding = Decoding(8, ("\n",), samples=8, temperature=0.7, top_k=20, seed=3)
    asked = groups()
    engine = load(handle)
    one = answers(engine, asked, decoding)
    narrow(engine)
    assert answers(engine, asked[::-1], decoding) == one


def test_answers_that_are_not_taken_leave_nothing_behind(load, handle):
    asked = groups()
    begun = load(handle).answer(iter(asked), Decoding(8, ("\n",)))
    next(begun)
    begun.close()
    assert greedy(load(handle), asked[:4]) == generated(handle, [], asked[:4], GREEDY)


def test_adapters_are_used_one_after_another_on_the_loaded_state(load, handle, adapters):
    asked = groups(1)
    engine = load(handle, fresh=True)
    for adapter in (adapters[0], adapters[1], adapters[0]):
        engine.use(adapter)
        assert greedy(engine, asked) == generated(handle, [adapter], asked, GREEDY)
    engine = load(handle, adapters[:1], fresh=True)
    engine.use(adapters[1])
    assert greedy(engine, asked) == generated(handle, adapters[:2], asked, GREEDY)


def test_a_model_whose_logits_have_weights_of_their_own_answers_alike(load, tmp_path):
    handle = base_model(tmp_path / "base", tied=False)
    adapter, asked = write_adapter(handle, tmp_path / "adapter"), groups(1)
    engine = load(handle, fresh=True)
    assert greedy(engine, asked) == generated(handle, [], asked, GREEDY)
    engine.use(adapter)
    assert greedy(engine, asked) == generated(handle, [adapter], asked, GREEDY)


def test_the_adapters_of_a_state_are_merged_in_order(load, handle, adapters):
    asked = groups(1)
    found = greedy(load(handle, adapters[:2]), asked)
    assert found == generated(handle, adapters[:2], asked, GREEDY)
    assert found != generated(handle, [], asked, GREEDY)


def test_an_adapter_that_changes_nothing_is_an_error(load, handle, adapters):
    with pytest.raises(InputError, match="changes no weight"):
        load(handle, adapters[:2], fresh=True).use(adapters[2])
    with pytest.raises(InputError, match="changes no weight"):
        load(handle, [adapters[0], adapters[2]], fresh=True)


def test_an_answer_ends_at_any_special_token_of_the_tokenizer(load, handle, tmp_path):
    asked, free = groups(1), Decoding(12, ())
    tokenizer = load_tokenizer(handle)
    # A token that the model often says, and no prompt holds, is made special besides the one that ends a text.
    said = Counter(t for tokens in generated_tokens(handle, [], asked, free).values() for t in tokens[1:])
    words = [tokenizer.convert_ids_to_tokens(token) for token, _ in said.most_common()]
    texts = "".join(prompt.text for group in asked for prompt in group)
    special = next(word for word in words if word not in texts)
    shutil.copytree(handle.parent, tmp_path / "model")
    tokenizer.add_special_tokens({"additional_special_tokens": [special]})
    assert len(tokenizer) == len(load_tokenizer(handle))
    tokenizer.save_pretrained(tmp_path / "model")
    write_handle(tmp_path / "model/base.json", tmp_path / "model", "test")
    found = greedy(load(tmp_path / "model/base.json"), asked, free)
    assert found == generated(tmp_path / "model/base.json", [], asked, free)
    assert any(answer.finish == "stop" and answer.tokens > 1 for answer in found.values())


def test_stop_strings_are_looked_for_in_the_text_of_the_models_own_tokenizer(load, handle, tmp_path):
    """Its decoder makes lines of words; that of the architecture's class would not."""
    folder = shutil.copytree(handle.parent, tmp_path / "model")
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    own.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace(" ", "\n")])
    own.save(str(folder / "tokenizer.json"))
    write_handle(folder / "base.json", folder, "test")
    asked, stopped = groups(), 0
    tokens = generated_tokens(handle, [], asked, replace(GREEDY, stop=()))
    for key, answer in answers(load(folder / "base.json", fresh=True), asked, GREEDY, lambda _: False).items():
        texts = [own.decode(tokens[key][:count]) for count in range(1, len(tokens[key]) + 1)]
        ends = next((count for count, text in enumerate(texts, 1) if "\n" in text), None)
        assert (answer.greedy.tokens, answer.greedy.finish == "stop") == (
            ends or len(texts),
            len(texts) < 12 or ends is not None,
        )
        stopped += ends is not None
    assert stopped > 3


def test_weights_that_are_not_finite_are_refused(load, handle, tmp_path):
    folder = shutil.copytree(handle.parent, tmp_path / "model")
    edit_weights(folder / "model.safetensors", lambda ts: ts | {"model.norm.weight": ts["model.norm.weight"] * np.nan})
    write_handle(folder / "base.json", folder, "test")
    with pytest.raises(InputError, match="not finite; expected finite weights") as caught:
        load(folder / "base.json")
    assert caught.value.file == str(folder / ".")


def limited(handle, folder, positions):
    """The model with other positions in its config."""
    shutil.copytree(handle.parent, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": positions}))
    write_handle(folder / "base.json", folder, "test")
    return folder / "base.json"


def test_a_prompt_that_the_models_positions_do_not_reach_is_refused(load, handle, tmp_path):
    """A rotary model would answer beyond them, and the answer would be noise."""
    short, long = Prompt("f1", 0, "Q: What?\nA:"), Prompt("f2", 3, "Q: What is r0 of train subject 1?\nA:" * 9)
    length = len(load_tokenizer(handle)(long.text)["input_ids"])
    engine = load(limited(handle, tmp_path / "model", length + 4))
    problem = f"a prompt of {length} tokens and 5 for the answer; expected at most the model's {length + 4} tokens"
    with pytest.raises(InputError) as caught:
        answers(engine, [[short], [long]], Decoding(5, ("\n",)))
    assert str(caught.value).startswith(f"fact f2, prompt 3: {problem} (fewer probe.shots or probe.max_new_tokens")
    assert len(answers(engine, [[short], [long]], Decoding(4, ("\n",)))) == 2  # it just fits


def failing(function, times, error):
    """The function, which fails at the calls of these numbers."""
    calls = iter(range(1000))

    def run(*args, **kwargs):
        if next(calls) in times:
            raise error
        return function(*args, **kwargs)

    return run


@pytest.mark.parametrize("handle", ["qwen2"], indirect=True)  # memory knows no architecture, and engines start again
@pytest.mark.parametrize(
    ("times", "settled"),
    [({9}, None), ({9}, lambda answered: answered[-1].greedy.tokens > 4), ({*range(9, 1000)}, None)],
    ids=["once", "once, settled", "again"],
)
def test_short_of_memory_an_engine_goes_on_with_less_once(load, handle, adapters, monkeypatch, times, settled):
    import torch

    asking = Asking(lambda _: True, settled)
    asked, decoding = groups(), Decoding(8, ("\n",), samples=4, temperature=0.7, top_k=20, seed=3)
    engine = load(handle, fresh=True)
    engine.use(adapters[0])
    whole = [*engine.answer(asked, decoding, asking)]
    narrow(engine)
    usage = engine.usage.prompts
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    if load.name == "transformers":
        monkeypatch.setattr(engine.model, "forward", failing(engine.model.forward, times, error))
        before = engine.limits.batch_tokens
    else:
        import gradual.probe.engines.vllm as module

        monkeypatch.setattr(engine._vllm, "step", failing(engine._vllm.step, times, error))
        if len(times) > 1:
            monkeypatch.setattr(module, "_vllm_engine", failing(None, times | {0}, error))
        before = engine.limits.sequences
    if len(times) > 1:
        with pytest.raises(InputError, match="out of memory, with smaller limits too .CUDA out of memory"):
            list(engine.answer(asked, decoding, asking))
        return
    found = [*engine.answer(iter(asked), decoding, asking)]
    assert found == whole
    assert engine.usage.prompts - usage == sum(map(len, whole))
    assert (engine.limits.batch_tokens if load.name == "transformers" else engine.limits.sequences) == before // 2
