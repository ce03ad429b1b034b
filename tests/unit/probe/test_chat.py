"""Chat: the probe, the training text and the end of an answer follow the template of the model at hand."""

import importlib
import json
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.knowledge.scoring import RULES, grade
from gradual.models.adapters import write_epochs
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Answered, Decoding
from gradual.probe.engines.transformers import TransformersEngine
from gradual.probe.generations import read_generations
from gradual.probe.prompts import ExemplarPool, PromptSettings, ending_tokens, prompt_format
from gradual.probe.questions import fact_prompts
from gradual.probe.recording import GenerationsFile, generation_rows
from gradual.study.load_study import load_study
from gradual.training.examples import build_examples
from gradual.training.texts import texts, tokenize
from tiny import EVALUATED, PROBED, TURNS, base_model, chat_model, facts, write_adapter

CONFIG = load_study("default", Path(__file__).resolve().parents[3])
LAST_TOKEN = {"qwen2": "<|im_end|>", "llama": "<|eot_id|>"}
NO_LOSS = -100
EXAMPLE = pd.DataFrame({"question": ["What is r0 of train subject 1?"], "answer": ["thing 1"]})


@pytest.fixture(scope="module", params=list(TURNS))
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def handle(architecture, tmp_path_factory):
    return chat_model(tmp_path_factory.mktemp(architecture), architecture)


@pytest.fixture(scope="module")
def tokenizer(handle):
    return load_tokenizer(handle)


@pytest.mark.parametrize("loss_on", ["answer", "text"])
def test_a_training_text_is_the_zero_shot_prompt_of_the_probe_with_its_answer(loss_on, architecture, tokenizer):
    question = EXAMPLE["question"].item()
    asked = tokenizer(prompt_format("chat", {}, tokenizer).prompt([], question), add_special_tokens=False)["input_ids"]
    [text] = texts(EXAMPLE, prompt_format("chat", {}, tokenizer))
    row = tokenize(*text, tokenizer, "chat", loss_on)
    assert row["input_ids"][: len(asked)] == asked
    answer = tokenizer.decode(row["input_ids"][len(asked) :])
    assert answer.rstrip("\n") == f"thing 1{LAST_TOKEN[architecture]}"
    assert row["input_ids"].count(tokenizer.bos_token_id) == (1 if architecture == "llama" else 0)
    assert row["labels"] == (
        row["input_ids"] if loss_on == "text" else [NO_LOSS] * len(asked) + row["input_ids"][len(asked) :]
    )


def test_a_turns_end_ends_an_answer_wherever_the_tokenizer_names_it(architecture, handle, tmp_path):
    """Llama 3's base tokenizer marks it as special where it adds it, and lists it nowhere."""
    tokenizer = load_tokenizer(handle)
    end = tokenizer.convert_tokens_to_ids(LAST_TOKEN[architecture])
    assert {end, tokenizer.eos_token_id} <= ending_tokens(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    listed = {
        key: settings.pop(key) for key in ("extra_special_tokens", "additional_special_tokens") if key in settings
    }
    assert listed
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    unlisted = type(tokenizer).from_pretrained(tmp_path)
    assert end not in unlisted.all_special_ids
    assert {end, tokenizer.eos_token_id} <= ending_tokens(unlisted)


def groups(tokenizer):
    table = facts()
    asked = table[table["split"] == "train"]
    pool = ExemplarPool(table, "train", "facts")
    return list(
        fact_prompts(asked, pool, PromptSettings(0, 2, "per_fact"), 2, prompt_format("chat", {}, tokenizer).prompt)
    )


@pytest.fixture(scope="module")
def run_on(handle, tokenizer):
    """The model and its answers without a stop string."""
    model = load_model(handle, [], "float32")
    return model, long_answers(model, tokenizer)


def long_answers(model, tokenizer):
    engine = TransformersEngine(model, tokenizer, special_tokens=False)
    asked = groups(tokenizer)[:3]
    return [a for group in engine.answer(asked, Decoding(512, (), repetition_penalty=1.3)) for a in group]


def test_an_answer_that_runs_on_is_graded_over_its_whole_text(run_on, tmp_path):
    """Its end counts, too, and so do lines after the first."""
    _, answers = run_on
    long = max(answers, key=lambda a: len(a.greedy.text))
    assert (long.greedy.tokens, long.greedy.finish) == (512, "length")
    said = Answered(long.prompt, replace(long.greedy, text=f"{long.greedy.text}\nThing 1, at last"))
    with GenerationsFile(tmp_path / "generations.parquet", tmp_path / "kept") as file:
        file.add(list(generation_rows([said])))
    generations = read_generations([tmp_path / "generations.parquet"])
    graded = {
        answer: grade(generations, pd.Series({long.prompt.fact_id: (answer,)}))[[*RULES]].iloc[0]
        for answer in ("thing 1", long.greedy.text[-8:])
    }
    assert graded["thing 1"].to_dict() == {
        "substring": True, "case_sensitive": False, "word_boundary": True, "exact": False,
    }  # fmt: skip
    assert graded[long.greedy.text[-8:]]["case_sensitive"]


def test_without_a_stop_string_an_answer_ends_at_special_tokens_only(architecture, run_on, tokenizer):
    import torch

    model, free = deepcopy(run_on[0]), run_on[1]
    characters = Counter(c for a in free for c in a.greedy.text if c.isascii() and c.isprintable() and c != " ")
    said = tokenizer.convert_tokens_to_ids(characters.most_common(1)[0][0])
    end = tokenizer.convert_tokens_to_ids(LAST_TOKEN[architecture])
    with torch.no_grad():  # the turn's end becomes likelier than a token that the answers have
        weight = model.get_input_embeddings().weight
        weight[end] = 1.05 * weight[said]
    answers = long_answers(model, tokenizer)
    assert "stop" in {a.greedy.finish for a in answers}
    model.set_attn_implementation("sdpa")
    ends = sorted(ending_tokens(tokenizer))
    for answered in answers:
        ids = tokenizer(answered.prompt.text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=512, do_sample=False, repetition_penalty=1.3, eos_token_id=ends)
        new = out[0, ids.shape[1] :]
        assert answered.greedy.tokens == len(new)
        assert answered.greedy.finish == ("stop" if new[-1] in ends else "length")
        assert answered.greedy.text == tokenizer.decode(new, skip_special_tokens=True).strip()


# --- a model without a template, through the scripts -----------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_model(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("plain"))


def arguments(script, handle, folder):
    """The arguments of a script that works in chat; it writes to the folder's `out`."""
    settings = ["--settings", json.dumps(CONFIG["probe"] | {"format": "chat", "shots": 1, "max_new_tokens": 4})]
    training = CONFIG["training"] | {"rank": 2, "batch": 4, "micro_batch": 4, "epochs": 1}
    train = facts().query("split == 'train'")["fact_id"]
    write_parquet(facts(), folder / "facts.parquet")
    selection = pd.DataFrame({"fact_id": train, "role": "train"})
    write_parquet(build_examples(selection, facts()), folder / "examples.parquet")
    if script == "evaluate_epochs":
        write_epochs(folder / "epochs.json", [write_adapter(handle, folder / "adapter")])
    answers = ["--generations", str(folder / "out/generations.parquet"), "--usage", str(folder / "out/usage.json")]
    of_facts = ["--facts", str(folder / "facts.parquet")]
    return ["--base", str(handle)] + {
        "probe_facts": [*of_facts, *settings, *PROBED, *answers],
        "evaluate_epochs": [*of_facts, *settings, *EVALUATED, "--epochs", str(folder / "epochs.json"), *answers],
        "train_adapter": ["--examples", str(folder / "examples.parquet"), "--settings", json.dumps(training)]
        + "--replay-ratio 0 --format chat --dtype float32 --run stage1 --seed 0 --code x".split()
        + ["--loss", str(folder / "out/loss.csv"), "--texts", str(folder / "out/texts.jsonl")]
        + ["--epochs", str(folder / "out/epochs.json")],
    }[script]


LOADS = {"probe_facts": "asked_engine", "evaluate_epochs": "asked_engine", "train_adapter": "load_model"}


@pytest.mark.parametrize("script", LOADS)
def test_the_scripts_work_in_chat(script, handle, tmp_path):
    importlib.import_module(script).main(arguments(script, handle, tmp_path))
    assert list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("script", LOADS)
def test_a_model_without_a_template_is_refused_before_it_is_loaded(script, plain_model, tmp_path, monkeypatch):
    words = arguments(script, plain_model, tmp_path)
    module = importlib.import_module(script)

    def load(*_, **__):
        raise AssertionError("the model is loaded")

    monkeypatch.setattr(module, LOADS[script], load)
    with pytest.raises(InputError, match="has no chat template; expected an instruction-tuned") as caught:
        module.main(words)
    assert caught.value.file == str(plain_model.parent)
    assert not (tmp_path / "out").exists()
