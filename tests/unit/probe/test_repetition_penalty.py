"""The repetition penalty of the engine is that of transformers; for sampled answers see test_engine.py."""

import importlib
import json
from pathlib import Path

import pandas as pd
import pytest
from test_engine import answers, groups

from gradual.ground.files import write_parquet
from gradual.models.adapters import write_epochs
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Decoding
from gradual.probe.engines.load import load_engine
from gradual.study.load_study import load_study
from tiny import EVALUATED, PROBED, base_model, facts, write_adapter

PENALTY = 1.3


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def engine(handle):
    return load_engine("transformers", handle, [], "plain", "float32")


@pytest.mark.parametrize("penalty", [PENALTY, 0.8])
def test_penalized_greedy_answers_are_token_for_token_those_of_generate(penalty, handle, engine):
    import torch

    tokenizer, model = load_tokenizer(handle), load_model(handle, [], "float32")
    found = list(answers(engine, groups(), Decoding(24, (), repetition_penalty=penalty)).values())[::2]
    for answered in found:
        ids = tokenizer(answered.prompt.text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=24, do_sample=False, repetition_penalty=penalty)
        new = out[0, ids.shape[1] :]
        assert answered.greedy.text == tokenizer.decode(new, skip_special_tokens=True).strip()
        assert answered.greedy.tokens == len(new)


def test_the_penalty_changes_answers_and_none_changes_nothing(engine):
    """Else the tests beside this one would say nothing."""
    asked = groups()
    free, penalized = answers(engine, asked, Decoding(24, ())), Decoding(24, (), repetition_penalty=PENALTY)
    assert answers(engine, asked, Decoding(24, (), repetition_penalty=1.0)) == free
    changed = [a.greedy.text != free[key].greedy.text for key, a in answers(engine, asked, penalized).items()]
    assert sum(changed) > len(changed) / 4


def test_without_a_penalty_no_logits_are_touched(engine, monkeypatch):
    monkeypatch.setattr("gradual.probe.engines.wave._seen", None)
    monkeypatch.setattr("gradual.probe.engines.wave._penalize", None)
    assert answers(engine, groups(1)[:2], Decoding(4, (), samples=4, top_k=5))


# --- through the scripts, as the rules call them ---------------------------------------------------------------------

CONFIG = load_study("default", Path(__file__).resolve().parents[3])
PROBE = CONFIG["probe"] | {"shots": 1, "max_new_tokens": 8, "stop": []}


@pytest.fixture(scope="module")
def written(handle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_parquet(facts(), folder / "facts.parquet")
    write_epochs(folder / "epochs.json", [write_adapter(handle, folder / "adapter")])
    return folder


def said(script, words, handle, written, out):
    importlib.import_module(script).main(
        ["--base", str(handle), "--facts", str(written / "facts.parquet"), *words]
        + ["--generations", str(out / "generations.parquet"), "--usage", str(out / "usage.json")]
    )
    return pd.read_parquet(out / "generations.parquet").query("kind == 'greedy'")["text"].tolist()


@pytest.mark.parametrize("script", ["probe_facts", "evaluate_epochs"])
def test_probes_and_evaluations_use_the_configs_penalty(script, handle, written, tmp_path):
    def ask(penalty):
        settings = ["--settings", json.dumps(PROBE | {"repetition_penalty": penalty})]
        words = {"probe_facts": PROBED, "evaluate_epochs": [*EVALUATED, "--epochs", str(written / "epochs.json")]}
        return said(script, [*settings, *words[script]], handle, written, tmp_path)

    assert ask(1.0) != ask(3.0)
