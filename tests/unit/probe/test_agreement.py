"""The guard: a probe's recorded answers beside those of plain `generate`."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

import check_probe
import probe_facts
from collect_tables import sentence
from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.probe.agreement import SHOWN, check, draw_facts, same_distribution
from tiny import base_model, facts, write_adapter

SETTINGS = {
    "shots": 2, "exemplars": "per_fact", "exemplar_split": "train", "format": "plain", "template_arguments": {},
    "stop": ["\n"], "max_new_tokens": 3, "repetition_penalty": 1.2,
}  # fmt: skip
SAMPLING = {"samples": 16, "temperature": 0.02, "top_k": 5}
PLACE = "--prompts 3 --dtype float32 --seed 0 --state origin --questions train --probe 0".split()
ASKED = "--counts exact unsolved --engine transformers --shard 0 --shards 1".split()


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    """A model whose own generation config says otherwise than the study's."""
    handle = base_model(tmp_path_factory.mktemp("base"), "llama")
    own = {"do_sample": True, "top_k": 1, "top_p": 0.1, "temperature": 9.0, "repetition_penalty": 3.0, "min_length": 9}
    (handle.parent / "generation_config.json").write_text(json.dumps(own))
    return handle


def words(handle, folder):
    write_parquet(facts(), folder / "facts.parquet")
    return ["--base", str(handle), "--facts", str(folder / "facts.parquet"), "--settings", json.dumps(SETTINGS), *PLACE]


def probed(handle, folder, *more, **sampling):
    """The file of a probe's generations."""
    file = folder / "generations.parquet"
    probe_facts.main(
        [*words(handle, folder), "--sampling", json.dumps(SAMPLING | sampling), *ASKED, *map(str, more)]
        + ["--generations", str(file), "--usage", str(folder / "usage.json")]
    )
    return file


def checked(handle, folder, generations, count=8):
    check_probe.main(
        [*words(handle, folder), "--sampling", json.dumps(SAMPLING), "--scoring", "substring"]
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
        "facts": 8, "equal_classes": 8, "answers": 24, "equal_answers": 24, "different": [], "sampled_prompts": 24,
        "dtype": "float32",
    }  # fmt: skip


def test_of_a_probe_that_stopped_early_only_what_was_asked_is_compared(handle, recorded, tmp_path):
    rows = pd.read_parquet(recorded)
    fact = draw_facts(facts().query("split == 'train'"), 1, 0, "origin", 0)["fact_id"].item()
    asked = (rows["fact_id"] != fact) | (rows["prompt_index"] < 2) & (rows["kind"] == "greedy")
    write_parquet(rows[asked], tmp_path / "generations.parquet")
    found = checked(handle, tmp_path, tmp_path / "generations.parquet")
    assert (found["facts"], found["answers"], found["equal_answers"], found["sampled_prompts"]) == (8, 23, 23, 21)


def test_the_answers_of_another_state_are_an_error_that_names_a_fact(handle, tmp_path):
    other = probed(handle, tmp_path, "--adapters", write_adapter(handle, tmp_path / "adapter") / "chosen.json")
    with pytest.raises(
        InputError, match=r"of 24 greedy answers differ from those of generate \(fact \w+, prompt \d: '"
    ):
        checked(handle, tmp_path, other)
    assert not (tmp_path / "agreement.json").exists()


def test_samples_of_another_temperature_are_an_error(handle, tmp_path):
    other = probed(handle, tmp_path, temperature=0.5)
    with pytest.raises(InputError, match="sampled answers have another distribution than those of generate"):
        checked(handle, tmp_path, other)


def found(equal, dtype="float32", p=0.5):
    different = [{"fact_id": "f", "prompt_index": 0, "recorded": "a", "plain": "b"}] * min(SHOWN, 200 - equal)
    counts = {"facts": 20, "equal_classes": 19, "answers": 200, "equal_answers": equal, "sampled_prompts": 9}
    return counts | {"different": different, "sampled_p": p, "dtype": dtype}


@pytest.mark.parametrize("fine", [found(200), found(198), found(198, p=None), found(20, "bfloat16", 1e-9)])
def test_a_tie_in_float32_and_rounding_in_bfloat16_are_no_error(fine):
    check(fine, "generations")


@pytest.mark.parametrize("wrong", [found(197), found(200, p=1e-7)])
def test_more_differences_than_ties_make_are_an_error(wrong):
    with pytest.raises(InputError, match="the engine is wrong for this model"):
        check(wrong, "generations")


def test_the_reader_of_the_tables_is_told_the_sums():
    assert "399 of 400 greedy answers equal, 38 of 40 facts" in sentence([found(200), found(199)])


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
