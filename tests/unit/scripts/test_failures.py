"""Each way in which a job may fail, through the scripts themselves: the message names the place, the problem and what was
expected, and nothing is left half-written."""

import errno
import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import yaml

from damage import contents, copy_of, cut, drop_column, edit_json, edit_weights, halve, replace_by_text, scratch
from gradual.data.facts import make_table
from gradual.ground import files
from gradual.ground.errors import InputError
from gradual.knowledge.scoring import RULES
from gradual.models.adapters import ADAPTER_FILES, epoch_folder
from gradual.models.handle import write_handle
from gradual.probe.generations import GENERATION_COLUMNS
from gradual.training.augment_settings import Keep
from gradual.training.augmentation import AUGMENTED_COLUMNS
from gradual.training.examples import EXAMPLE_COLUMNS, build_examples
from gradual.workflow.starting import report
from tiny import EVALUATED, PROBED, base_model, facts, write_adapter

ROOT = Path(__file__).resolve().parents[3]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
PROBE = CONFIG["probe"] | {"shots": 1, "max_new_tokens": 4}
TRAINING = CONFIG["training"] | {"rank": 4, "batch": 4, "micro_batch": 4, "epochs": 1}
MODEL = {
    "architecture": "qwen2", "hidden_size": 32, "intermediate_size": 48, "layers": 1, "heads": 1, "key_value_heads": 1,
}  # fmt: skip
PRETRAINING = CONFIG["pretraining"] | {"vocabulary": 270, "row_tokens": 8, "batch_rows": 2, "warmup_steps": 1}
REVISIONS = {"count": 1, "facts": 4, "kept": 2, "unrelated": 1, "relations": None, "band": "all", "domains": []}
REVISIONS |= {"own": None, "conflicting": None, "file": None, "columns": {}}


def write_inputs(folder):
    """What the scripts read: a file of each kind, of a probe with two prompts in which every answer is wrong."""
    table = facts()
    row = {"split": "train", "relation": "birthplace", "subject": "Ada", "question": "Where was Ada born?"}
    train = table[table["split"] == "train"]["fact_id"].tolist()
    asked = [(fact, prompt, "greedy", "no", 1, 2, "stop") for fact in train for prompt in range(2)]
    generations = pd.DataFrame(asked, columns=GENERATION_COLUMNS)
    first = generations[generations["prompt_index"] == 0]
    grades = generations[["fact_id", "prompt_index", "kind"]].assign(n=1, **dict.fromkeys(RULES, 0))
    grades.loc[grades["fact_id"].isin(train[:8]) & (grades["prompt_index"] == 0), list(RULES)] = 1
    categories = {"fact_id": train, "category": ["MaybeKnown"] * 8 + ["WeaklyKnown & Unknown"] * (len(train) - 8)}
    selection = pd.DataFrame({"fact_id": train[:8], "role": "train"})
    frames = {
        "facts": table,
        "generations": generations,
        "epochs": first.assign(epoch=1),
        "parent": first.assign(epoch=1, text="none"),
        "grades": grades,
        "categories": pd.DataFrame(categories),
        "selection": selection,
        "examples": build_examples(selection, table),
        "augmented": build_examples(selection, table)
        .query("role == 'train'")
        .assign(way="logic", made_by="model", written="So.", augmented="So. Why?", parsed=True, subject_kept=True)
        .assign(old_inside=False, new_inside=False, tested=False, agrees=None)[list(AUGMENTED_COLUMNS)],
        "exposure": pd.DataFrame({"fact_id": table["fact_id"], "false_answer": ""}),
        "wordings": pd.DataFrame({"fact_id": table["fact_id"], "wording": 1, "question": "Otherwise?"}),
        "worldly": make_table([row | {"answers": ["Rome"]}]),
        "communities": pd.DataFrame({"subject": [], "community": []}, dtype=str),
        "corpus": pd.DataFrame({"kind": "statement", "text": [f"The home of thing {i} is here." for i in range(20)]}),
    }
    for name, frame in frames.items():
        files.write_parquet(frame, folder / f"{name}.parquet")
    files.write_csv(pd.DataFrame({"epoch": [1], "split": ["dev"], "accuracy": [0.5]}), folder / "accuracy.csv")
    return folder


# The arguments of each script: {x} of a file of the inputs, @ before a file of the outputs, other values in JSON.
COMMANDS = {
    "grade_generations": "--generations {generations} --facts {facts} --answers first --grades @grades.parquet",
    "categorize_facts": "--grades {grades} --facts {facts} --scoring substring --mode greedy"
    " --categories @categories.parquet --counts @counts.csv",
    "select_facts": "--run stage1 --states origin --categories {categories} --replay --seed 0 --size-of {selection}"
    ' --select {"origin":["MaybeKnown"]} --selection @selection.parquet',
    "build_examples": "--selection {selection} --facts {facts} --examples @examples.parquet",
    "draw_answers": "--selection {selection} --facts {facts} --run stage1 --seed 0 --examples @examples.parquet",
    "revise_facts": "--facts {facts} --told {exposure} --seed 0 --revisions @revisions.parquet --groups @groups.parquet"
    f" --settings {json.dumps(REVISIONS, separators=(',', ':'))}",
    "reword_questions": "--dataset {} --numbers 0 1 --facts {worldly} --wordings @wordings.parquet",
    "augment_examples": "--own {examples} --augmented {augmented} --seed 0 --examples @examples.parquet"
    f" --keep {json.dumps(asdict(Keep()), separators=(',', ':'))}",
    "match_steps": "--own {examples} --other {examples} --seed 0 --examples @examples.parquet",
    "grade_epochs": "--generations {epochs} --parent {parent} --facts {facts} --scoring substring --state stage1"
    " --answers first --grades @grades.parquet --accuracy @accuracy.csv",
    "estimate_chance": "--generations {generations} --categories {categories} --facts {facts} --scoring substring"
    " --answers first --chance @chance.csv",
    "build_corpus": "--facts {facts} --communities {communities} --wordings {wordings} --seed 0"
    " --exposure @exposure.parquet --corpus @corpus.parquet"
    f" --settings {json.dumps(CONFIG['corpus'] | {'words': 1000}, separators=(',', ':'))}",
    "pretrain_base": "--corpus {corpus} --seed 0 --code x --recipe @recipe.json --base @base.json"
    f" --model {json.dumps(MODEL, separators=(',', ':'))}"
    f" --settings {json.dumps(PRETRAINING, separators=(',', ':'))}",
}
READS = [
    ("grade_generations", "generations", "generations", GENERATION_COLUMNS),
    ("grade_generations", "facts", "a facts table", ()),
    ("categorize_facts", "grades", "grades of answers", ("fact_id", "kind", "n", *RULES)),
    ("select_facts", "categories", "categories of facts", ("fact_id", "category")),
    ("select_facts", "selection", "a selection", ("fact_id", "role")),
    ("build_examples", "selection", "a selection of facts", ("fact_id", "role")),
    ("build_examples", "facts", "a facts table", ()),
    ("draw_answers", "selection", "a selection of facts", ("fact_id", "role")),
    ("draw_answers", "facts", "a facts table", ()),
    ("revise_facts", "facts", "a facts table", ()),
    ("revise_facts", "exposure", "the exposure of facts", ("fact_id", "false_answer")),
    ("reword_questions", "worldly", "a facts table", ()),
    ("augment_examples", "examples", "the examples of a run", EXAMPLE_COLUMNS),
    ("augment_examples", "augmented", "augmented questions", AUGMENTED_COLUMNS),
    ("match_steps", "examples", "the examples of a run", EXAMPLE_COLUMNS),
    ("grade_epochs", "epochs", "generations", ("epoch", "fact_id", "text")),
    ("grade_epochs", "parent", "generations", ("epoch", "fact_id", "text")),
    ("estimate_chance", "generations", "generations", ("fact_id", "kind")),
    ("estimate_chance", "categories", "categories of facts", ("fact_id", "category")),
    ("build_corpus", "communities", "the communities of subjects", ("subject", "community")),
    ("build_corpus", "wordings", "the wordings of questions", ("fact_id", "wording", "question")),
    ("pretrain_base", "corpus", "a corpus", ("text",)),
]
BROKEN = {
    "missing": Path.unlink,
    "empty": cut,
    "truncated": halve,
    "corrupt": scratch,
    "a pointer to it": replace_by_text,
}


def arguments(script, inputs, out):
    def argument(word):
        if word.startswith("@"):
            return str(out / word[1:])
        return str(inputs / f"{word[1:-1]}.parquet") if word[1:-1].isidentifier() and word.startswith("{") else word

    return list(map(argument, COMMANDS[script].split()))


def call(script, inputs, out):
    importlib.import_module(script).main(arguments(script, inputs, out))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def inputs(whole, tmp_path):
    return copy_of(whole, tmp_path / "inputs")


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("script", COMMANDS)
def test_the_scripts_work_on_whole_inputs(script, inputs, out):
    """Else the tests below would say nothing."""
    before = contents(inputs)
    call(script, inputs, out)
    assert {word[1:] for word in COMMANDS[script].split() if word.startswith("@")} <= set(contents(out))
    assert contents(inputs) == before


@pytest.mark.parametrize(
    ("script", "name", "what", "damage"),
    [
        pytest.param(script, name, what, damage, id=f"{script}-{name}-{kind}")
        for script, name, what, _ in READS
        for kind, damage in BROKEN.items()
    ],
)
def test_a_broken_parquet_file_is_named_and_nothing_is_written(script, name, what, damage, inputs, out):
    damage(inputs / f"{name}.parquet")
    with pytest.raises(InputError) as caught:
        call(script, inputs, out)
    assert caught.value.file == str(inputs / f"{name}.parquet")
    assert f"; expected {what}, as a whole Parquet file (remove a broken one: it is made again)" in str(caught.value)
    assert contents(out) == {}


@pytest.mark.parametrize(
    ("script", "name", "what", "column"),
    [(script, name, what, column) for script, name, what, columns in READS for column in columns],
)
def test_a_parquet_file_without_a_column_is_named_and_nothing_is_written(script, name, what, column, inputs, out):
    drop_column(inputs / f"{name}.parquet", column)
    with pytest.raises(InputError) as caught:
        call(script, inputs, out)
    assert (caught.value.file, caught.value.key) == (str(inputs / f"{name}.parquet"), column)
    assert "has the columns [" in str(caught.value) and f"; expected {what}" in str(caught.value)
    assert contents(out) == {}


# --- a full disk ---------------------------------------------------------------------------------------------------


def fill_up(_, path, **__):
    """A writer of `path` whose disk is full after a few bytes."""
    Path(path).write_text("half")
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "script",
    ["grade_generations", "categorize_facts", "select_facts", "build_examples", "grade_epochs", "build_corpus"],
)
@pytest.mark.parametrize("there", [False, True], ids=["first time", "again"])
def test_a_full_disk_leaves_the_old_output_as_it_was(script, there, inputs, out, monkeypatch):
    if there:
        call(script, inputs, out)
    before = contents(out)
    for writer in ("to_parquet", "to_csv"):
        monkeypatch.setattr(pd.DataFrame, writer, fill_up)
    with pytest.raises(InputError, match="the disk is full; expected free space; nothing was written") as caught:
        call(script, inputs, out)
    assert Path(caught.value.file).parent == out
    assert contents(out) == before
    assert bool(before) == there


def test_a_disk_that_fills_up_while_answers_are_written_leaves_none_of_them(handle, inputs, out, monkeypatch):
    """Answers stream to their file: it must not be taken for a whole one."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(InputError, match=r"generations\.parquet: the disk is full"):
        probe(handle, inputs, out)
    assert contents(out) == {}


def test_a_full_disk_leaves_no_half_adapter(adapter, inputs, out, monkeypatch):
    epochs(out, adapter)
    monkeypatch.setattr(shutil, "copyfile", fill_up)
    with pytest.raises(InputError, match=r"adapter_config\.json: the disk is full"):
        choose(adapter, inputs, out)
    assert contents(out) == {}


# --- models and adapters -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), scale=1.0)


@pytest.fixture
def handle(model, tmp_path):
    """The handle of a model that a test may break."""
    return copy_of(model.parent, tmp_path / "base") / "base.json"


@pytest.fixture
def adapter(model, tmp_path):
    return write_adapter(model, tmp_path / "adapter")


def probe(handle, inputs, out, *adapters, **settings):
    """Ask the state of these adapters' handles."""
    importlib.import_module("probe_facts").main(
        ["--base", str(handle), "--adapters", *handles(adapters), "--facts", str(inputs / "facts.parquet"), *PROBED]
        + ["--settings", json.dumps(PROBE | settings), *answers(out)]
    )


def evaluate(handle, inputs, out, *adapters, merged=()):
    """Ask a run whose epochs have these adapters, on top of those that are merged."""
    importlib.import_module("evaluate_epochs").main(
        ["--base", str(handle), "--adapters", *handles(merged), "--epochs", str(epochs(out, *adapters)), *EVALUATED]
        + ["--facts", str(inputs / "facts.parquet"), "--settings", json.dumps(PROBE), *answers(out)]
    )


def handles(adapters):
    return [str(folder / "chosen.json") for folder in adapters]


def answers(out):
    return ["--generations", str(out / "generations.parquet"), "--usage", str(out / "usage.json")]


def epochs_handle(out):
    return out.parent / f"{out.name}-epochs" / "epochs.json"


def epochs(out, *adapters):
    """The handle of epochs whose adapters are these, broken or not."""
    handle = epochs_handle(out)
    for epoch, adapter in enumerate(adapters, 1):
        if not epoch_folder(handle, epoch).exists():
            shutil.copytree(adapter, epoch_folder(handle, epoch))
    handle.parent.mkdir(parents=True, exist_ok=True)
    handle.write_text(json.dumps({str(e): signed(epoch_folder(handle, e)) for e in range(1, len(adapters) + 1)}))
    return handle


def signed(folder):
    """The digests of an adapter's files, broken or not, as its handle has them."""
    return {name: files.digest(folder / name) for name in ADAPTER_FILES if (folder / name).is_file()}


def train(handle, inputs, out, *parents, merged=(), **settings):
    """Train an adapter of its own, or go on with the parent's, on top of those that are merged."""
    importlib.import_module("train_adapter").main(
        ["--base", str(handle), "--merge", *handles(merged), "--parent", *handles(parents)]
        + ["--examples", str(inputs / "examples.parquet")]
        + ["--settings", json.dumps(TRAINING | settings), "--replay-ratio", "0", "--format", "plain"]
        + ["--dtype", "float32", "--run", "stage1", "--seed", "0", "--code", "x", "--loss", str(out / "loss.csv")]
        + ["--texts", str(out / "texts.jsonl"), "--epochs", str(out / "epochs.json")]
    )


def choose(adapter, inputs, out):
    importlib.import_module("choose_epoch").main(
        ["--accuracy", str(inputs / "accuracy.csv"), "--split", "dev", "--epochs", str(epochs(out, adapter))]
        + ["--adapter", str(out / "adapter" / "chosen.json")]
    )


def test_models_and_adapters_that_are_whole_are_used(handle, adapter, inputs, out):
    """Else the tests below would say nothing."""
    probe(handle, inputs, out, adapter)
    evaluate(handle, inputs, out / "evaluation", adapter, merged=[adapter])
    train(handle, inputs, out, adapter)
    choose(out / "epoch-01", inputs, out)
    written = {"generations.parquet", "usage.json", "loss.csv", "texts.jsonl"}
    assert written | {f"adapter/{name}" for name in ("chosen.json", *ADAPTER_FILES)} <= set(contents(out))
    train(handle, inputs, out / "merged", merged=[adapter])
    assert "epoch-01/adapter_model.safetensors" in contents(out / "merged")


def loaded(job, adapter, out):
    """The folder that a job loads an adapter from."""
    return epoch_folder(epochs_handle(out), 1) if job is evaluate else adapter


JOBS = {"probe": probe, "evaluate": evaluate, "train": train}
BROKEN_MODELS = {
    "missing weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors", "is missing; expected"),
    "missing config": (lambda f: (f / "config.json").unlink(), "config.json", "restore it, or remove"),
    "truncated weights": (lambda f: halve(f / "model.safetensors"), "model.safetensors", "a whole safetensors file"),
    "truncated tokenizer": (lambda f: halve(f / "tokenizer.json"), "tokenizer.json", "a model's file, in JSON"),
    "truncated handle": (lambda f: halve(f / "base.json"), "base.json", "the handle of a base model, in JSON"),
}
BROKEN_ADAPTERS = {
    "truncated weights": (
        lambda f: halve(f / "adapter_model.safetensors"),
        "adapter_model.safetensors",
        "cannot be read",
    ),
    "another kind": (
        lambda f: edit_json(f / "adapter_config.json", peft_type="IA3"),
        "adapter_config.json",
        "is not a LoRA adapter; expected peft_type: LORA",
    ),
    "not a number": (
        lambda f: edit_weights(
            f / "adapter_model.safetensors", lambda ts: {n: t * float("nan") for n, t in ts.items()}
        ),
        "adapter_model.safetensors",
        "has values that are not finite",
    ),
    "other targets": (
        lambda f: edit_json(f / "adapter_config.json", target_modules=["q_proj"]),
        "",
        "has 28 weights; the model has places for 4",
    ),
}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
@pytest.mark.parametrize(("damage", "file", "words"), BROKEN_MODELS.values(), ids=BROKEN_MODELS)
def test_a_broken_model_is_named_and_nothing_is_written(job, damage, file, words, handle, inputs, out):
    damage(handle.parent)
    with pytest.raises(InputError) as caught:
        job(handle, inputs, out)
    assert caught.value.file == str(handle.parent / file)
    assert words in str(caught.value) and "; expected " in str(caught.value)
    assert contents(out) == {}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
@pytest.mark.parametrize(("damage", "file", "words"), BROKEN_ADAPTERS.values(), ids=BROKEN_ADAPTERS)
def test_a_broken_adapter_is_named_and_nothing_is_written(job, damage, file, words, handle, adapter, inputs, out):
    damage(adapter)
    edit_json(adapter / "chosen.json", sha256=signed(adapter))  # it was so from the beginning
    with pytest.raises(InputError) as caught:
        job(handle, inputs, out, adapter)
    assert caught.value.file == str(loaded(job, adapter, out) / file)
    assert words in str(caught.value)
    assert contents(out) == {}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_an_adapter_of_another_model_is_named_and_nothing_is_written(job, handle, inputs, out, tmp_path):
    foreign = write_adapter(base_model(tmp_path / "other", "llama"), tmp_path / "foreign")
    with pytest.raises(
        InputError, match="does not fit the model .*; expected an adapter trained on this model"
    ) as caught:
        job(handle, inputs, out, foreign)
    assert caught.value.file == str(loaded(job, foreign, out))
    assert contents(out) == {}


# The adapters that a job is given by their handles.
GIVEN = {
    "probe": probe,
    "evaluate": lambda handle, inputs, out, adapter: evaluate(handle, inputs, out, adapter, merged=[adapter]),
    "train on": train,
    "train": lambda handle, inputs, out, adapter: train(handle, inputs, out, merged=[adapter]),
}
BROKEN_HANDLES = {
    "missing": (lambda f: (f / "chosen.json").unlink(), "chosen.json", "the handle of an adapter, in JSON"),
    "truncated": (lambda f: halve(f / "chosen.json"), "chosen.json", "the handle of an adapter, in JSON"),
    "without its weights": (
        lambda f: (f / "adapter_model.safetensors").unlink(),
        "adapter_model.safetensors",
        "expected the adapter that {handle} names (restore it, or remove {handle} to make it again)",
    ),
}


@pytest.mark.parametrize("job", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize(("damage", "file", "words"), BROKEN_HANDLES.values(), ids=BROKEN_HANDLES)
def test_a_broken_handle_of_an_adapter_is_named_and_nothing_is_written(
    job, damage, file, words, handle, adapter, inputs, out
):
    epochs(out, adapter)  # whole ones, for the job that asks epochs
    damage(adapter)
    with pytest.raises(InputError) as caught:
        job(handle, inputs, out, adapter)
    assert caught.value.file == str(adapter / file)
    assert words.format(handle=adapter / "chosen.json") in str(caught.value)
    assert contents(out) == {}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_broken_examples_are_named_and_nothing_is_trained(damage, handle, inputs, out):
    damage(inputs / "examples.parquet")
    with pytest.raises(InputError, match="expected the examples of a run, as a whole Parquet file") as caught:
        train(handle, inputs, out)
    assert caught.value.file == str(inputs / "examples.parquet")
    assert contents(out) == {}


@pytest.mark.parametrize("column", EXAMPLE_COLUMNS)
def test_examples_without_a_column_are_named_and_nothing_is_trained(column, handle, inputs, out):
    drop_column(inputs / "examples.parquet", column)
    with pytest.raises(InputError, match="expected the examples of a run with this column") as caught:
        train(handle, inputs, out)
    assert (caught.value.file, caught.value.key) == (str(inputs / "examples.parquet"), column)
    assert contents(out) == {}


def test_a_token_limit_that_a_prompt_exceeds_is_named_with_the_remedy(handle, inputs, out):
    edit_json(handle.parent / "config.json", max_position_embeddings=24)
    write_handle(handle, handle.parent, "test")
    with pytest.raises(
        InputError, match=r"^fact [0-9a-f]{16}, prompt \d: a prompt of \d+ tokens and 4 for the"
    ) as caught:
        probe(handle, inputs, out)
    assert "; expected at most the model's 24 tokens (fewer probe.shots or probe.max_new_tokens, or" in str(
        caught.value
    )
    assert contents(out) == {}


def test_a_token_limit_that_a_training_text_exceeds_is_named(handle, inputs, out):
    edit_json(handle.parent / "config.json", max_position_embeddings=8)
    write_handle(handle, handle.parent, "test")
    with pytest.raises(InputError, match=r"^training: a text of \d+ tokens; expected at most the model's 8"):
        train(handle, inputs, out)
    assert contents(out) == {}


def test_answers_to_facts_that_there_are_not_are_named(inputs, out):
    table = pd.read_parquet(inputs / "generations.parquet").assign(fact_id="f" * 16)
    files.write_parquet(table, inputs / "generations.parquet")
    with pytest.raises(InputError, match="^generations, key 'fact_id': fact 'f{16}' is not in the facts table"):
        call("grade_generations", inputs, out)
    assert contents(out) == {}


def test_a_loss_that_is_not_finite_is_named_and_no_adapter_is_left(handle, inputs, out):
    with pytest.raises(
        InputError, match=r"^training, key 'learning_rate': the (loss|grad_norm) is (nan|inf) at step \d"
    ):
        train(handle, inputs, out, learning_rate=1e30, epochs=3)
    assert not [name for name in contents(out) if not name.startswith("checkpoints-")]  # for a training that resumes
    assert not any(path.name in ("epochs.json", "epoch-01") for path in out.iterdir())


# --- impossible selections -----------------------------------------------------------------------------------------


def test_no_fact_to_train_on_is_said_with_what_there_is(inputs, out):
    table = pd.read_parquet(inputs / "categories.parquet").assign(category="HighlyKnown")
    files.write_parquet(table, inputs / "categories.parquet")
    with pytest.raises(InputError) as caught:
        call("select_facts", inputs, out)
    assert str(caught.value) == (
        "run stage1, key 'select': no fact is selected by {'origin': ['MaybeKnown']}; "
        "expected some; the categories are {'origin': {'HighlyKnown': 16}}"
    )
    assert contents(out) == {}


def test_no_fact_to_replay_is_said(inputs, out):
    words = arguments("select_facts", inputs, out)
    at = words.index("--replay") + 1
    words[at:at] = ["origin", "HighlyKnown"]
    with pytest.raises(InputError, match="^run stage1, key 'replay': no fact is HighlyKnown in origin; expected facts"):
        importlib.import_module("select_facts").main(words)
    assert contents(out) == {}


def test_a_fact_that_is_no_train_fact_is_not_trained_on(inputs, out):
    table = pd.read_parquet(inputs / "facts.parquet")
    test = table[table["split"] == "test"]["fact_id"].iloc[0]
    files.write_parquet(pd.DataFrame({"fact_id": [test], "role": ["train"]}), inputs / "selection.parquet")
    with pytest.raises(InputError, match=f"^selection, key 'fact_id': fact {test} is not in the split train; expected"):
        call("build_examples", inputs, out)
    assert contents(out) == {}


def test_a_fact_without_answers_has_no_category(inputs, out):
    grades = pd.read_parquet(inputs / "grades.parquet").assign(kind="sampled")
    files.write_parquet(grades, inputs / "grades.parquet")
    with pytest.raises(
        InputError, match="key 'kind': fact [0-9a-f]{16} has no greedy answer; expected an answer to"
    ) as caught:
        call("categorize_facts", inputs, out)
    assert caught.value.file == str(inputs / "grades.parquet")
    assert contents(out) == {}


def test_an_adapter_without_effect_is_said(inputs, out):
    shutil.copy(inputs / "epochs.parquet", inputs / "parent.parquet")
    with pytest.raises(InputError, match="^run stage1, epoch 1: all 16 answers equal those of its parent; expected"):
        call("grade_epochs", inputs, out)
    assert contents(out) == {}


def test_a_split_that_was_not_evaluated_chooses_no_epoch(adapter, inputs, out):
    files.write_csv(pd.DataFrame({"epoch": [1], "split": ["test"], "accuracy": [0.5]}), inputs / "accuracy.csv")
    with pytest.raises(
        InputError, match="key 'choose_on': no epoch was evaluated on 'dev'; expected 'dev' among evaluation"
    ):
        choose(adapter, inputs, out)
    assert contents(out) == {}


# --- what the log ends with ------------------------------------------------------------------------------------------


def test_an_input_error_is_reported_in_one_line_without_traceback(inputs, out, capsys):
    halve(inputs / "generations.parquet")
    with pytest.raises(SystemExit) as caught:
        report(lambda: call("grade_generations", inputs, out))
    assert caught.value.code.startswith(f"error: {inputs / 'generations.parquet'}: cannot be read (")
    assert "\n" not in caught.value.code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "ending"),
    [
        (halve, ["error: {file}: cannot be read (", "; expected a corpus, as a whole Parquet file"]),
        (
            lambda path: pd.DataFrame({"text": [1, 2]}).to_parquet(path),
            ["error: AttributeError: 'int'", "remedy: not foreseen, so likely a defect"],
        ),
    ],
    ids=["truncated", "unforeseen"],
)
def test_a_failed_jobs_log_ends_with_the_cause(damage, ending, inputs, out):
    """As a rule runs it: exit status 1, the cause in the last lines of standard error."""
    damage(inputs / "corpus.parquet")
    command = [sys.executable, str(ROOT / "scripts" / "pretrain_base.py"), *arguments("pretrain_base", inputs, out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    last = "\n".join(done.stderr.splitlines()[-2:])
    assert all(part.format(file=inputs / "corpus.parquet") in last for part in ending)
    assert contents(out) == {}
