"""The guard: a probe's recorded answers beside those of plain `generate`."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

import check_probe
import probe_facts
from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.models.handle import write_handle
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.agreement import SHOWN, check, draw_facts, same_distribution
from gradual.probe.answers import Decoding, Prompt
from gradual.probe.plain_generate import PlainGenerate
from gradual.tables.head import agreement
from tiny import base_model, facts, write_adapter

SETTINGS = {
    "shots": 2, "exemplars": "per_fact", "exemplar_split": "train", "format": "plain", "template_arguments": {},
    "stop": ["\n"], "max_new_tokens": 3, "repetition_penalty": 1.2,
}  # fmt: skip
SAMPLING = {"samples": 16, "temperature": 0.02, "top_k": 5}
PLACE = "--prompts 3 --seed 0 --state origin --questions train --probe 0".split()
ASKED = "--counts exact unsolved --answers first --engine transformers --shard 0 --shards 1 --code c".split()


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    """A model whose own generation config says otherwise than the study's."""
    handle = base_model(tmp_path_factory.mktemp("base"), "llama")
    own = {"do_sample": True, "top_k": 1, "top_p": 0.1, "temperature": 9.0, "repetition_penalty": 3.0, "min_length": 9}
    (handle.parent / "generation_config.json").write_text(json.dumps(own))
    write_handle(handle, handle.parent, "test")
    return handle


def words(handle, folder, dtype="float32"):
    write_parquet(facts(), folder / "facts.parquet")
    of_facts = ["--facts", str(folder / "facts.parquet"), "--settings", json.dumps(SETTINGS)]
    return ["--base", str(handle), "--dtype", dtype, *of_facts, *PLACE]


def probed(handle, folder, *more, dtype="float32", **sampling):
    """The file of a probe's generations."""
    file = folder / "generations.parquet"
    probe_facts.main(
        [*words(handle, folder, dtype), "--sampling", json.dumps(SAMPLING | sampling), *ASKED, *map(str, more)]
        + ["--generations", str(file), "--usage", str(folder / "usage.json")]
    )
    return file


def checked(handle, folder, generations, count=8, dtype="float32"):
    check_probe.main(
        [*words(handle, folder, dtype), "--sampling", json.dumps(SAMPLING)]
        + ["--scoring", "substring", "--answers", "first"]
        + ["--checked", str(count), "--generations", str(generations), "--agreement", str(folder / "agreement.json")]
    )
    return json.loads((folder / "agreement.json").read_text())


@pytest.fixture(scope="module")
def recorded(handle, tmp_path_factory):
    return probed(handle, tmp_path_factory.mktemp("probe"))


def test_a_probe_agrees_with_generate_whatever_the_models_own_generation_config_says(handle, recorded, tmp_path):
    found = checked(handle, tmp_path, recorded)
    assert found.pop("sampled_p") > 1e-3
    assert found == {
        "facts": 8, "equal_classes": 8, "answers": 24, "equal_answers": 24, "agreeing_answers": 24, "different": [],
        "sampled_prompts": 24, "dtype": "float32",
    }  # fmt: skip


def test_of_a_probe_that_stopped_early_only_what_was_asked_is_compared(handle, recorded, tmp_path):
    rows = pd.read_parquet(recorded)
    fact = draw_facts(facts().query("split == 'train'"), 1, 0, "origin", 0)["fact_id"].item()
    asked = (rows["fact_id"] != fact) | (rows["prompt_index"] < 2) & (rows["kind"] == "greedy")
    write_parquet(rows[asked], tmp_path / "generations.parquet")
    found = checked(handle, tmp_path, tmp_path / "generations.parquet")
    assert (found["facts"], found["answers"], found["equal_answers"], found["sampled_prompts"]) == (8, 23, 23, 21)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_answers_of_another_state_are_an_error_that_names_a_fact(dtype, handle, tmp_path):
    adapter = write_adapter(handle, tmp_path / "adapter") / "chosen.json"
    other = probed(handle, tmp_path, "--adapters", adapter, dtype=dtype)
    with pytest.raises(
        InputError,
        match=r"of 24 greedy answers are not those of generate, even up to rounding \(fact \w+, prompt \d: '",
    ):
        checked(handle, tmp_path, other, dtype=dtype)
    assert not (tmp_path / "agreement.json").exists()


def test_rounding_to_bfloat16_is_no_error(handle, tmp_path):
    """Answers in float32 stand for those of an engine that rounds otherwise than generate does in bfloat16."""
    found = checked(handle, tmp_path, probed(handle, tmp_path), dtype="bfloat16")
    assert found["dtype"] == "bfloat16"
    assert found["agreeing_answers"] >= 23


def plain_path(handle, stop=()):
    return PlainGenerate(load_model(handle, [], "float32"), load_tokenizer(handle), True, Decoding(6, stop))


def test_an_answer_has_a_gap_where_it_leaves_the_greedy_one(handle):
    import torch

    path, prompt = plain_path(handle), Prompt("f", 0, "Q: What is r0 of train subject 1?\nA:")
    ids = path._ids([prompt])
    (own,) = path._generate(ids, do_sample=False)
    assert path.gap(prompt, path.greedy([prompt])[0].text) == 0
    for common in (0, 3):
        with torch.inference_mode():
            scores = path.model(torch.cat([ids, torch.tensor([own[:common]], dtype=ids.dtype)], 1)).logits[0, -1]
        order = scores.argsort(descending=True).tolist()
        texts = {token: path._text([*own[:common], token]).strip() for token in order}
        said = next(
            text for t in order[40:] if (text := texts[t]).isascii() and not text.startswith(texts[own[common]])
        )
        first = next(t for t in order if said.startswith(texts[t]))
        assert path.gap(prompt, said) == pytest.approx(
            float((scores[order[0]] - scores[first]) / scores.abs().max()), abs=1e-4
        )


def test_prompts_that_are_answered_together_have_the_answers_that_each_has_alone(handle):
    path = plain_path(handle)
    prompts = [Prompt("f", i, f"Q: What is r{i % 3} of train subject {i}?\nA:" + " " * (i % 2)) for i in range(9)]
    assert len({path._ids([prompt]).shape[1] for prompt in prompts}) > 1
    free = path.greedy(prompts)
    assert free == [path.greedy([prompt])[0] for prompt in prompts]
    texts = [answer.text for answer in free]
    stop = next(c for c in texts[0] if 0 < sum(c in text for text in texts) < len(texts))
    path = plain_path(handle, (stop,))
    stopped = path.greedy(prompts)
    assert stopped == [path.greedy([prompt])[0] for prompt in prompts]
    assert {answer.finish for answer in stopped} == {"stop", "length"}


def test_samples_of_another_temperature_are_an_error(handle, tmp_path):
    other = probed(handle, tmp_path, temperature=0.5)
    with pytest.raises(InputError, match="sampled answers have another distribution than those of generate"):
        checked(handle, tmp_path, other)


def found(agreeing, equal=None, classes=20, p=0.5):
    different = [{"fact_id": "f", "prompt_index": 0, "recorded": "a", "plain": "b", "gap": 3.0}] * min(
        SHOWN, 200 - agreeing
    )
    counts = {"facts": 20, "equal_classes": classes, "answers": 200, "sampled_prompts": 9, "agreeing_answers": agreeing}
    return counts | {"equal_answers": equal or agreeing, "different": different, "sampled_p": p, "dtype": "bfloat16"}


@pytest.mark.parametrize(
    "fine", [found(200), found(198), found(198, p=None), found(200, 20), found(198, 150, classes=16)]
)
def test_differences_that_rounding_makes_are_no_error(fine):
    check(fine, "generations")


@pytest.mark.parametrize(
    "wrong", [found(197), found(200, classes=15), found(200, p=1e-7), found(20), found(0, classes=0)]
)
def test_more_differences_than_rounding_makes_are_an_error(wrong):
    with pytest.raises(InputError, match=r"the engine is wrong for this model|a type with less rounding"):
        check(wrong, "generations")


def test_the_reader_of_the_tables_is_told_the_sums():
    assert "400 of 400 greedy answers equal, 40 of 40 facts" in agreement([found(200), found(200)])
    told = agreement([found(200), found(199, 180, classes=18)])
    assert "380 of 400 greedy answers equal (399 up to rounding), 38 of 40 facts" in told


def test_the_facts_are_drawn_by_the_key_whatever_their_order():
    table = facts()
    drawn = [set(draw_facts(rows, 5, key)["fact_id"]) for key in (0, 1) for rows in (table, table[::-1])]
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3]
    assert len(drawn[0]) == 5
    assert draw_facts(table, 999, 0).equals(table)


def draws(rng, chances, prompts):
    return [pd.Series(Counter(rng.choice(len(chances), 16, p=chances).tolist())) for _ in range(prompts)]


def test_the_p_value_is_uniform_where_both_ways_are_the_same_and_small_where_not():
    rng = np.random.default_rng(0)
    one, other = [0.6, 0.2, 0.1, 0.05, 0.05], [0.3, 0.3, 0.2, 0.1, 0.1]
    same = [same_distribution([*zip(draws(rng, one, 6), draws(rng, one, 6), strict=True)]) for _ in range(200)]
    assert 0.4 < np.mean(same) < 0.6
    assert 2 < np.sum(np.array(same) < 0.05) < 25 and min(same) > 1e-4
    assert same_distribution([*zip(draws(rng, one, 40), draws(rng, other, 40), strict=True)]) < 1e-6


def test_answers_that_are_always_the_same_tell_nothing():
    always = pd.Series({"thing": 16})
    assert same_distribution([(always, always)] * 5) is None
    assert same_distribution([]) is None
    assert same_distribution([(always, pd.Series({"other": 16}))] * 5) < 1e-6
