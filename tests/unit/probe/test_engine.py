"""What is the transformers engine's alone; what all engines must do is in tests/contract."""

import weakref
from collections import Counter

import pytest

from gradual.ground.errors import InputError
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Asking, Decoding, Deployment, Prompt
from gradual.probe.engines.load import load_engine
from gradual.probe.engines.memory import LEAST, LOGIT_BYTES, held_tokens, token_bytes
from gradual.probe.engines.prefixes import HeldTokens
from gradual.probe.engines.tokenization import Encoder
from gradual.probe.engines.transformers import TransformersEngine, limits_of
from gradual.probe.engines.wave import Limits, Wave
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts
from one_by_one import counted, sample_alone
from tiny import base_model, facts


def groups(prompts=3, split="train"):
    table = facts()
    pool = ExemplarPool(table, "train", "facts")
    asked = table[table["split"] == split]
    return list(fact_prompts(asked, pool, PromptSettings(0, 4, "per_fact"), prompts, plain))


def answers(engine, asked, decoding, wants=lambda _: True):
    return {
        (a.prompt.fact_id, a.prompt.index): a for group in engine.answer(asked, decoding, Asking(wants)) for a in group
    }


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def engine(handle):
    return load_engine("transformers", handle, [], "plain", "float32")


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_the_tree_gives_the_answers_that_sampling_one_by_one_gives(penalty, handle, engine):
    import torch

    tokenizer, model = load_tokenizer(handle), load_model(handle, [], "float32")
    decoding = Decoding(6, ("\n",), samples=16, temperature=0.5, top_k=40, seed=11, repetition_penalty=penalty)
    found = list(answers(engine, groups(), decoding).values())[::9]
    for answered in found:
        with torch.inference_mode():
            alone = Counter(sample_alone(model, tokenizer, answered.prompt, decoding, s) for s in range(16))
        assert counted(answered.sampled) == alone


@pytest.mark.parametrize("settled", [None, lambda answered: answered[-1].greedy.tokens > 4], ids=["exact", "settled"])
def test_the_number_of_threads_changes_no_answer(settled, handle, monkeypatch):
    import torch

    asked, decoding = groups(), Decoding(6, ("\n",), samples=4, temperature=0.7, top_k=20, seed=3)
    before, found, usages = torch.get_num_threads(), [], []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        engine = TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, Limits(64, 300))
        found.append([*engine.answer(iter(asked), decoding, Asking(lambda _: True, settled))])
        usages.append(engine.usage)
    one, three = ([answered for group in each for answered in group] for each in found)
    assert one == three
    assert settled or sum(answer.count for answered in one for answer in answered.sampled) > 150
    assert usages[0].prompts == usages[1].prompts == len(one)
    assert usages[0].answer_tokens == usages[1].answer_tokens
    assert usages[0].prompt_tokens == usages[1].prompt_tokens
    monkeypatch.undo()
    assert torch.get_num_threads() == before  # of the others only


def test_a_failure_in_a_thread_is_that_of_the_engine(handle, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    engine = TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, Limits(64, 300))
    asked = groups()

    def wants(answered):
        if answered[0].prompt.fact_id == asked[-1][0].fact_id:
            raise InputError("facts.parquet", "is broken", "a whole one")
        return False

    with pytest.raises(InputError, match="is broken"):
        answers(engine, asked, Decoding(4, ("\n",), samples=2), wants)


def test_an_engine_that_is_left_early_answers_again(handle, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    engine = TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, Limits(64, 300))
    asked, decoding = groups(), Decoding(4, ("\n",))
    begun = engine.answer(asked, decoding)
    first = next(begun)
    begun.close()
    assert next(engine.answer(asked, decoding)) == first


def waves_of(engine, asked, decoding):
    """The number of groups that are whole after each group."""
    return [engine.progress().whole for _ in engine.answer(iter(asked), decoding)]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_wave_holds_as_many_tokens_as_fit(threads, handle, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    model, tokenizer = load_model(handle, [], "float32"), load_tokenizer(handle)
    asked, decoding = groups(), Decoding(4, ("\n",))
    tokens = [sum(len(tokenizer(prompt.text)["input_ids"]) for prompt in group) for group in asked]
    engine = TransformersEngine(model, tokenizer, True, Limits(10**6, 10**6, 3 * max(tokens)))
    found = waves_of(engine, asked, decoding)
    assert engine.progress().done == len(asked)
    ends = sorted({*found})
    assert len(ends) > 2
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        assert found[begin:end] == [end] * (end - begin)
        assert sum(tokens[begin : end - 1]) < 2 * engine.limits.held_tokens


def test_shared_prefixes_are_counted_once():
    held = HeldTokens()
    held.add([[1] * 16 + [2, 3], [1] * 16 + [4]])
    assert held.count == 16 + 2 + 1
    held.add([[1] * 16 + [2, 3]])
    assert held.count == 19


def test_a_job_that_goes_on_after_a_wave_gives_the_same_answers(handle):
    asked, decoding = groups(), Decoding(6, ("\n",), samples=4, temperature=0.7, top_k=20, seed=3)
    asking = Asking(lambda _: True)

    def engine():
        return TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, Limits(64, 300))

    first = engine()
    begun, found = first.answer(iter(asked), decoding, asking), []
    while not (first.progress().whole == len(found) > 3):
        found.append(next(begun))
    begun.close()
    assert len(found) < len(asked)
    rest = engine().answer(iter(asked[len(found) :]), decoding, asking)
    assert [*found, *rest] == [*engine().answer(iter(asked), decoding, asking)]


def test_the_tokens_of_a_wave_follow_from_the_memory_of_the_job(handle, monkeypatch):
    model = load_model(handle, [], "float32")
    config = model.config
    heads, width = config.num_key_value_heads, config.hidden_size // config.num_attention_heads
    assert token_bytes(model) == 2 * config.num_hidden_layers * heads * width * 4
    small, large = (held_tokens(model, Deployment(memory=gigabytes * 2**30)) for gigabytes in (4, 8))
    assert 0 < small * token_bytes(model) < 2**31 < large * token_bytes(model) < 8 * 2**30
    assert held_tokens(model, Deployment(memory=1)) == LEAST
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "4096")
    assert held_tokens(model, Deployment()) <= small


def test_the_prompts_that_are_decoded_together_follow_from_the_memory_of_the_job(handle):
    """A decoding step's logits have room, however many words the model has."""
    model = load_model(handle, [], "float32")
    vocabulary = model.config.vocab_size
    small, large = (limits_of(model, Deployment(memory=gigabytes * 2**30)).logits for gigabytes in (1, 8))
    assert 0 < small * LOGIT_BYTES < 2**28 < large * LOGIT_BYTES < 2**31
    assert limits_of(model, Deployment(memory=1)).logits == vocabulary  # one prompt at a time


def test_a_prompt_longer_than_the_batch_is_still_answered(handle):
    engine = TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, Limits(1, 1))
    prompt = Prompt("f", 0, "Q: What is this?\nA:")
    assert len(answers(engine, [[prompt]], Decoding(3, ("\n",)))) == 1


@pytest.mark.parametrize("together", [1, 2, 5])
def test_how_many_prompts_are_decoded_together_changes_no_answer(handle, together):
    decoding = Decoding(6, ("\n",), samples=3, top_k=10)
    found = [
        answers(
            TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True, limits),
            groups(),
            decoding,
        )
        for limits in (Limits(64, 10**6), Limits(64, 10**6, together=together))
    ]
    assert found[0] == found[1]


def test_a_wave_that_ran_out_of_memory_is_freed_before_the_next_try(handle, monkeypatch, caplog):
    """Although a record of the log, which a handler may keep, tells the error."""
    import torch

    taken = []

    class Short(Wave):
        def answer(self):
            held = torch.zeros(1)
            if not taken:
                taken.append(weakref.ref(held))
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            assert taken[0]() is None
            return super().answer()

    monkeypatch.setattr("gradual.probe.engines.transformers.Wave", Short)
    engine = TransformersEngine(load_model(handle, [], "float32"), load_tokenizer(handle), True)
    assert len(answers(engine, groups(), Decoding(3, ("\n",)))) == sum(map(len, groups()))
    assert "out of memory" in caplog.text


def test_prompts_that_are_asked_again_are_not_tokenized_again(handle, monkeypatch):
    tokenizer, texts = load_tokenizer(handle), []
    group = groups()[0]
    ids = [tokenizer(prompt.text)["input_ids"] for prompt in group]

    class Counting:
        def __call__(self, new, **options):
            texts.extend(new)
            return tokenizer(new, **options)

    encode = Encoder(Counting(), True)
    for _ in range(3):
        assert encode(group, Decoding(4, ()), 1024) == ids
    assert texts == [prompt.text for prompt in group]
    monkeypatch.setattr("gradual.probe.engines.tokenization.KEPT", len(group))  # no more than that are kept
    assert encode(groups()[1], Decoding(4, ()), 1024) == [tokenizer(p.text)["input_ids"] for p in groups()[1]]
    assert encode(group, Decoding(4, ()), 1024) == ids
    assert len(texts) == 3 * len(group)
