"""The samples that a run trains on beside its answers, and a training on them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

import sample_answers
import train_adapter
from gradual.ground.errors import InputError
from gradual.ground.files import read_json, write_parquet
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe import asking
from gradual.probe.answers import Answer, Answered, Progress, Usage
from gradual.training.examples import build_examples
from gradual.training.samples import read_samples
from gradual.training.settings import PreferenceSettings, SampleSettings
from gradual.training.texts import IGNORED, tokenize
from tiny import TRAINING, base_model, facts, write_adapter

CONFIG = yaml.safe_load((Path(__file__).resolve().parents[3] / "config.yaml").read_text(encoding="utf-8"))
ANSWERING = CONFIG["probe"] | {"max_new_tokens": 5}
SAMPLING = SampleSettings(samples=6, temperature=0.8, top_k=40, align="scoring")
LOSS = PreferenceSettings(alpha=1.0, beta=0.2, bound="npo", b=1.0, target=True)
COUNT = 5  # examples to train on; the last two are about one fact


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), scale=2.0)


@pytest.fixture(scope="module")
def parent(handle, tmp_path_factory):
    return write_adapter(handle, tmp_path_factory.mktemp("adapter")) / "chosen.json"


@pytest.fixture(scope="module")
def examples():
    table = facts()
    chosen = table[table["split"] == "train"][["fact_id"]].head(COUNT).assign(role="train")
    built = build_examples(chosen, table)
    reworded = built.iloc[-2:-1].assign(question="Of what is it?")
    return pd.concat([built.iloc[:-1], reworded, built.iloc[-1:].assign(role="replay")], ignore_index=True)


def sample(handle, adapter, examples, out, settings=ANSWERING, sampling=SAMPLING, **changes):
    out.mkdir(exist_ok=True)
    write_parquet(examples, out / "examples.parquet")
    named = {"scoring": "substring", "engine": "transformers", "dtype": "float32", "seed": 0, "parent": "stage1"}
    sample_answers.main(
        ["--base", str(handle), "--adapters", str(adapter), "--examples", str(out / "examples.parquet")]
        + ["--settings", json.dumps(settings), "--sampling", json.dumps(asdict(sampling))]
        + [word for key, value in (named | {"code": "c"} | changes).items() for word in (f"--{key}", str(value))]
        + ["--samples", str(out / "samples.parquet"), "--usage", str(out / "usage.json")]
    )
    return read_samples(out / "samples.parquet")


@pytest.fixture(scope="module")
def sampled(handle, parent, examples, tmp_path_factory):
    """The folder of the samples."""
    out = tmp_path_factory.mktemp("out")
    sample(handle, parent, examples, out)
    return out


def test_each_question_to_train_on_has_its_target_and_all_its_samples(sampled, examples):
    samples = read_samples(sampled / "samples.parquet")
    trained = examples[examples["role"] == "train"]
    targets = samples[samples["kind"] == "target"]
    assert [*zip(targets["fact_id"], targets["question"], targets["text"], strict=True)] == [
        *zip(trained["fact_id"], trained["question"], trained["answer"], strict=True)
    ]
    drawn = samples.groupby(["fact_id", "question"])["count"].sum()
    assert len(drawn) == COUNT and set(drawn) == {SAMPLING.samples}
    assert samples.groupby(["fact_id", "question"])["text"].apply(tuple).nunique() == COUNT  # each its own
    assert read_json(sampled / "usage.json", "usage")["prompts"] == COUNT
    assert {path.name for path in sampled.iterdir()} == {"examples.parquet", "samples.parquet", "usage.json"}


def test_log_probabilities_are_the_parents(sampled, handle, parent):
    import torch

    tokenizer, model = load_tokenizer(handle), load_model(handle, [parent.parent], "float32")
    for row in read_samples(sampled / "samples.parquet").itertuples():
        tokens = tokenize(f"Q: {row.question}\nA:", row.completion, tokenizer, "plain", "answer")
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens["input_ids"]])).logits[0]
        said = [logits[i].log_softmax(-1)[n] for i, n in enumerate(tokens["labels"][1:]) if n != IGNORED]
        assert row.tokens == len(said) and row.log_probability == pytest.approx(float(sum(said)) / len(said), abs=1e-4)


def test_the_target_decides_what_is_aligned_and_nothing_else(sampled, handle, parent, examples, tmp_path):
    before = read_samples(sampled / "samples.parquet")
    said = before[(before["kind"] != "target") & (before["text"] != "")].iloc[0]
    mine = (examples["fact_id"] == said.fact_id) & (examples["question"] == said.question)
    changed = examples.assign(answer=examples["answer"].mask(mine, said.text.upper()))
    after = sample(handle, parent, changed, tmp_path / "out")
    told = after["kind"] != "target"
    assert after[told][["text", "count"]].equals(before[told][["text", "count"]])
    same = (after["fact_id"] == said.fact_id) & (after["question"] == said.question) & told
    right = after["text"].str.lower().str.contains(said.text.lower(), regex=False)
    assert (after.loc[same, "kind"] == "aligned").equals(right[same]) and right[same].any()
    assert after.loc[~same, "kind"].equals(before.loc[~same, "kind"])


class Engine:
    """Gives each prompt two answers that ended and one that was cut off. It fails before the group of number `fails`."""

    def __init__(self, fails=None):
        self.usage, self.fails, self.asked, self.closed = Usage(), fails, [], False

    def progress(self):
        return Progress(len(self.asked), len(self.asked))

    def answer(self, groups, decoding, asking):
        self.decoding = decoding
        for group in groups:
            if len(self.asked) == self.fails:
                raise KeyboardInterrupt
            self.asked += group
            self.usage.prompts += len(group)
            greedy = [Answered(prompt, Answer("g", 1, "stop")) for prompt in group]
            assert asking.wants_samples(greedy)
            given = (Answer("a", 1, "stop", 3), Answer(f"b {group[0].fact_id}", 1, "stop"), Answer("c", 9, "length", 2))
            yield [Answered(found.prompt, found.greedy, given) for found in greedy]

    def close(self):
        self.closed = True


def load(engine, monkeypatch):
    monkeypatch.setattr(asking, "load_engine", lambda *_: engine)
    return engine


def test_the_prompts_are_those_of_training_and_what_was_cut_off_has_no_end(
    handle, parent, examples, tmp_path, monkeypatch
):
    engine = load(Engine(), monkeypatch)
    samples = sample(handle, parent, examples, tmp_path)
    trained = examples[examples["role"] == "train"]
    assert [prompt.text for prompt in engine.asked] == [f"Q: {question}\nA:" for question in trained["question"]]
    assert len({(prompt.fact_id, prompt.index) for prompt in engine.asked}) == COUNT
    decoding = engine.decoding
    assert (decoding.samples, decoding.temperature, decoding.top_k, decoding.stop) == (6, 0.8, 40, ("\n",))
    assert samples.loc[samples["text"] == "a", "completion"].eq(" a\n").all()
    assert samples.loc[samples["text"] == "c", "completion"].eq(" c").all()
    assert samples.loc[samples["kind"] == "target", "completion"].tolist() == [f" {a}\n" for a in trained["answer"]]
    assert engine.closed
    for changes, same in (({}, True), ({"parent": "stage2"}, False), ({"seed": 1}, False)):
        other = load(Engine(), monkeypatch)
        sample(handle, parent, examples, tmp_path / "other", **changes)
        assert (other.decoding == decoding) == same


def test_a_job_that_was_killed_goes_on_with_what_it_has_not_asked(handle, parent, examples, tmp_path, monkeypatch):
    monkeypatch.setattr("gradual.probe.recording.SECONDS_UNKEPT", 0)
    load(Engine(), monkeypatch)
    whole = sample(handle, parent, examples, tmp_path / "whole")
    load(Engine(fails=3), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        sample(handle, parent, examples, tmp_path / "out")
    assert not (tmp_path / "out/samples.parquet").exists()
    other = load(Engine(), monkeypatch)
    sample(handle, parent, examples, tmp_path / "copy", code="d")
    assert len(other.asked) == COUNT
    again = load(Engine(), monkeypatch)
    assert sample(handle, parent, examples, tmp_path / "out").equals(whole)
    assert len(again.asked) == COUNT - 3
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "examples.parquet", "samples.parquet", "usage.json"
    }  # fmt: skip


def train(handle, parent, folder, out, *samples, **settings):
    given = asdict(replace(TRAINING, epochs=1, batch=6, micro_batch=2, objective="preference")) | settings
    train_adapter.main(
        ["--base", str(handle), "--examples", str(folder / "examples.parquet"), "--samples", *map(str, samples)]
        + ["--merge", "--parent", str(parent), "--settings", json.dumps(given)]
        + "--replay-ratio 1 --format plain --dtype float32 --run pbl2 --seed 0 --code c".split()
        + ["--loss", str(out / "loss.csv"), "--texts", str(out / "texts.jsonl"), "--epochs", str(out / "epochs.json")]
    )
    return pd.read_csv(out / "loss.csv")


def test_a_training_begins_at_the_reference_and_its_losses_name_the_log_ratios(sampled, handle, parent, tmp_path):
    path = sampled / "samples.parquet"
    losses = train(handle, parent, sampled, tmp_path, path, preference=asdict(LOSS), epochs=3)
    ratios = ["target_log_ratio", "aligned_log_ratio", "conflicting_log_ratio"]
    assert list(losses.columns) == ["step", "epoch", "loss", "learning_rate", "grad_norm", *ratios]
    assert len(losses) == 3
    assert losses.loc[0, ["target_log_ratio", "conflicting_log_ratio"]].abs().max() < 1e-4
    assert losses["target_log_ratio"].iloc[-1] > 0.1
    kinds = read_samples(path)["kind"]
    assert losses["aligned_log_ratio"].notna().all() == (kinds == "aligned").any()


def test_a_training_needs_the_settings_of_its_objective(sampled, handle, parent, tmp_path):
    own = {key: value for key, value in asdict(LOSS).items() if key != "beta"}
    with pytest.raises(InputError, match="PreferenceSettings, key 'beta': is missing"):
        train(handle, parent, sampled, tmp_path, sampled / "samples.parquet", preference=own)
