"""The transformers engine and LoRA on a tiny random model of each family of architectures.

docs/families.md has the table of the families that this suite shows to be exact.
"""

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import transformers
from test_engines import generated, greedy, groups
from transformers import AutoConfig, AutoModelForCausalLM

from gradual.ground.errors import InputError
from gradual.models.adapters import with_adapter
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import GREEDY_ANSWERS, Asking, Decoding
from gradual.probe.engines import kv_tree, model_check
from gradual.probe.engines.double import in_double
from gradual.probe.engines.load import load_engine
from gradual.probe.engines.tokenization import Stopper
from gradual.probe.engines.transformers import TransformersEngine
from gradual.probe.engines.wave import Group, Limits, Task, Wave
from gradual.training.lora import Training, attach_adapter, train_adapter
from gradual.training.shared_beginnings import difference, joined
from gradual.training.texts import IGNORED, tokenize
from one_by_one import counted, sample_alone
from tiny import FAMILIES, TRAINING, base_model

ALL = ("llama", "qwen2", *FAMILIES)
SAMPLING = Decoding(10, ("\n",), samples=8, temperature=0.5, top_k=40, seed=11)
EXACT = 1e-5  # the largest difference of logits, as a share of the largest one
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=ALL)
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


@cache
def asked():
    """Prompts of which some share a prefix, and some do not."""
    return [*groups(2, exemplars="per_relation")[5:11], *groups(1)[:3]]


def engine_of(handle):
    model, tokenizer = load_model(handle, [], "float32"), load_tokenizer(handle)
    return TransformersEngine(model, tokenizer, True, Limits(400, 2000))


def test_greedy_answers_are_those_of_generate_and_samples_those_of_their_streams(handle):
    import torch

    engine, model, tokenizer = engine_of(handle), load_model(handle, [], "float32"), load_tokenizer(handle)
    found = [a for group in engine.answer(asked(), SAMPLING, Asking(lambda _: True)) for a in group]
    greedy_answers = {(a.prompt.fact_id, a.prompt.index): a.greedy for a in found}
    assert greedy_answers == generated(handle, [], asked(), SAMPLING)
    assert len({a.greedy.text for a in found}) > 3  # there is something to tell
    for answered in found[::7]:
        with torch.inference_mode():
            alone = Counter(sample_alone(model, tokenizer, answered.prompt, SAMPLING, s) for s in range(8))
        assert counted(answered.sampled) == alone


def test_the_logits_of_the_tree_are_those_of_the_models_own_forward(handle):
    """The check at load finds the same for the models that it is not made for."""
    model, tokenizer = load_model(handle, [], "float32"), load_tokenizer(handle)
    kv_tree.install(model)
    assert model_check.difference(model, tokenizer) < EXACT


def test_a_model_of_each_family_computes_in_double_precision_near_borders(handle):
    """What its own forward casts to float32, such as norms and softmax, is in double precision too."""
    import torch

    model, tokenizer = load_model(handle, [], "float32").eval(), load_tokenizer(handle)
    kv_tree.install(model)
    task = Task(Decoding(1, ()), GREEDY_ANSWERS, Stopper(tokenizer, Decoding(1, ())))

    def logits():
        return Wave(model, [Group([], [[5, 6, 7, 8], [9, 10]])], task, Limits(400, 2000)).forced(
            np.empty((2, 1, 0), int)
        )

    single = logits()
    with in_double():
        double = logits()
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert 0 < (single - double).abs().max() < EXACT * double.abs().max()
    model.double()
    with in_double():
        assert torch.equal(logits(), double)


# What attention may leave out, and families that need it.
LEFT_OUT = [
    *((part, family) for part, family in (("softcap", "gemma2"), ("sinks", "gpt_oss"))),
    *(("window", family) for family, config in FAMILIES.items() if "sliding_window" in config),
]


@pytest.mark.parametrize(("part", "family"), LEFT_OUT)
def test_attention_that_leaves_something_out_is_refused(part, family, tmp_path, monkeypatch):
    handle = base_model(tmp_path, family)
    whole = kv_tree.Scoring
    monkeypatch.setattr(kv_tree, "Scoring", lambda *values: whole(*values)._replace(**{part: None}))
    problem = (
        f"transformers cannot probe a {family} model: its logits would differ by .* of the largest one, where rounding"
    )
    with pytest.raises(
        InputError, match=f"{problem} in float32 allows 0.0001; expected .* probe.engine: vllm"
    ) as caught:
        load_engine("transformers", handle, [], "plain", "float32")
    assert (caught.value.file, caught.value.key) == ("probe.engine", "models")


# Models of other kinds, and why they are refused.
REFUSED = {
    "mamba": "not plain attention .linear_attention",
    "rwkv": "but recurrent",
    "recurrent_gemma": "not plain attention .linear_attention",
    "lfm2": "not plain attention .conv",
    "gemma3n_text": "share their keys and values",
    "bert": "not causal",
    "gptj": "its attention cannot be replaced",
    "stablelm": "cannot use another attention and cache",
}


@pytest.mark.parametrize(("kind", "reason"), REFUSED.items(), ids=REFUSED)
def test_a_model_of_another_kind_is_refused_with_the_reason(kind, reason, handle_of_qwen2):
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "vocab_size": 400,
    }
    if kind == "gemma3n_text":
        sizes |= {"num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2}
        sizes |= {"vocab_size_per_layer_input": 400, "hidden_size_per_layer_input": 8, "laurel_rank": 4}
    if kind == "lfm2":
        sizes |= {"layer_types": ["conv", "full_attention"] * 2}
    with pytest.raises(InputError, match=f"cannot probe a {kind} model: .*{reason}"):
        config = AutoConfig.for_model(kind, **sizes, pad_token_id=None)
        TransformersEngine(AutoModelForCausalLM.from_config(config), load_tokenizer(handle_of_qwen2), True)


@pytest.fixture(scope="module")
def handle_of_qwen2(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("qwen2"))


def test_all_linear_layers_but_the_head_are_trained_and_the_engine_merges_the_adapter(handle, tmp_path):
    import torch

    tokenizer, model = load_tokenizer(handle), load_model(handle, [], "float32")
    settings = replace(TRAINING, targets=("all-linear",), epochs=1, learning_rate=3e-2)
    rows = [tokenize(f"Q: {i}\nA:", f" thing {i}\n", tokenizer, "plain", "answer") for i in range(8)]
    linear = {
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | transformers.pytorch_utils.Conv1D)
        and module is not model.get_output_embeddings()
    }
    adapted = attach_adapter(model, None, settings)
    trained = {
        name.removeprefix("base_model.model.").split(".lora_")[0]
        for name, p in adapted.named_parameters()
        if p.requires_grad
    }
    assert trained == linear != set()
    [adapter], _ = train_adapter(adapted, Training(rows, 8, 0.0, settings, seed=0, folder=tmp_path))
    ids = torch.tensor([tokenizer("Q: What is r0 of train subject 1?\nA:")["input_ids"]])
    with torch.inference_mode():
        before = load_model(handle, [], "float32")(ids).logits
        beside = with_adapter(load_model(handle, [], "float32"), adapter)(ids).logits
        merged = load_model(handle, [adapter], "float32")(ids).logits
    assert float((beside - merged).abs().max() / merged.abs().max()) < EXACT
    assert float((before - merged).abs().max() / merged.abs().max()) > 100 * EXACT
    engine = engine_of(handle)
    engine.use(adapter)
    assert greedy(engine, asked()[:3]) == generated(handle, [adapter], asked()[:3], Decoding(12, ("\n",)))


def test_texts_that_share_their_beginning_have_the_logits_that_each_has_alone(handle):
    """They are shorter than the smallest window, and together longer."""
    alone = [[5, 17, 40, *rest] for rest in ([61, 8], [61, 9, 70], [33, 90, 12, 4], [33])]
    row = joined([{"input_ids": ids, "labels": [IGNORED] * 3 + ids[3:]} for ids in alone])
    assert max(map(len, alone)) < 8 < len(row["input_ids"])
    assert difference(load_model(handle, [], "float32"), row) < EXACT
    wrong = row | {"positions": [*range(len(row["input_ids"]))]}
    assert difference(load_model(handle, [], "float32"), wrong) > 10 * EXACT


def test_the_documentation_has_a_row_for_each_family():
    text = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]+\| `(\w+)` \| (exact|refused) \|", text, re.M)
    assert sorted(rows) == sorted([*((family, "exact") for family in ALL), *((kind, "refused") for kind in REFUSED)])
