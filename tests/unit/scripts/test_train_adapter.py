"""What the training script writes besides its adapters, and which checkpoints it may resume from."""

import json
from dataclasses import asdict, replace

import pandas as pd
import pytest

import train_adapter
from gradual.ground.files import write_parquet
from gradual.models.adapters import read_epochs
from gradual.training.examples import build_examples
from tiny import TRAINING, base_model, facts, write_adapter

SETTINGS = replace(TRAINING, epochs=1, targets=("q_proj",))
AWKWARD = 'either/or "Zürich" \\ 東京'


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), scale=1.0)


@pytest.fixture(scope="module")
def adapter(handle, tmp_path_factory):
    return write_adapter(handle, tmp_path_factory.mktemp("adapter"), targets=("q_proj",)) / "chosen.json"


@pytest.fixture(scope="module")
def examples():
    """Five examples to train on and one to replay, of the first of which the answer is awkward."""
    table = facts()
    train = table[table["split"] == "train"][["fact_id"]].head(6)
    built = build_examples(train.assign(role=["train"] * 5 + ["replay"]), table)
    built.loc[0, ["answer", "source"]] = [AWKWARD, "elsewhere"]
    return built


def call(handle, examples, out, settings=SETTINGS, merge=(), parent=(), **changes):
    write_parquet(examples, out.parent / "examples.parquet")
    named = {"replay-ratio": 0.5, "format": "plain", "dtype": "float32", "run": "x", "seed": 0, "code": "c"} | changes
    train_adapter.main(
        ["--base", str(handle), "--examples", str(out.parent / "examples.parquet")]
        + ["--merge", *map(str, merge), "--parent", *map(str, parent), "--settings", json.dumps(asdict(settings))]
        + [word for key, value in named.items() for word in (f"--{key}", str(value))]
        + ["--loss", str(out / "loss.csv"), "--texts", str(out / "texts.jsonl"), "--epochs", str(out / "epochs.json")]
    )
    return out


def test_the_exact_texts_are_written_for_people_and_no_checkpoint_is_left(handle, examples, tmp_path):
    out = call(handle, examples, tmp_path / "out")
    written = [json.loads(line) for line in (out / "texts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert written == [
        {"fact_id": e.fact_id, "role": e.role, "source": e.source}
        | {"prompt": f"Q: {e.question}\nA:", "completion": f" {e.answer}\n"}
        for e in examples.itertuples()
    ]
    assert "Zürich" in (out / "texts.jsonl").read_text(encoding="utf-8")
    losses = pd.read_csv(out / "loss.csv")
    assert list(losses.columns) == ["step", "epoch", "loss", "learning_rate", "grad_norm"]
    assert losses["step"].tolist() == [1, 2]  # five rows and half of one, in batches of four
    assert len(read_epochs(out / "epochs.json")) == 1
    assert {path.name for path in out.iterdir()} == {"loss.csv", "texts.jsonl", "epochs.json", "epoch-01"}


@pytest.fixture
def checkpoints(monkeypatch, handle, examples, adapter, tmp_path):
    """Gives the folder that a training keeps its checkpoints in."""
    from gradual.models import loading

    loaded = loading.load_model(handle, [], "float32")
    monkeypatch.setattr(train_adapter, "load_model", lambda *_: loaded)
    monkeypatch.setattr(train_adapter, "attach_adapter", lambda model, *_: model)

    def folder(**changes):
        seen = []

        def end(_, training):
            seen.append(training.folder)
            raise KeyboardInterrupt

        monkeypatch.setattr(train_adapter, "train_adapter", end)
        with pytest.raises(KeyboardInterrupt):
            call(**{"handle": handle, "examples": examples, "out": tmp_path / "out"} | changes)
        return seen[0]

    return folder


def test_only_a_training_of_the_same_resumes_a_checkpoint(checkpoints, examples, adapter, tmp_path):
    mine = checkpoints()
    assert checkpoints() == mine and mine.parent == tmp_path / "out"
    others = [
        {"examples": examples.assign(answer="other")},
        {"settings": replace(SETTINGS, learning_rate=1e-3)},
        {"merge": [adapter]},
        {"parent": [adapter]},
        {"replay-ratio": 0.0},
        {"seed": 1},
        {"code": "d"},
    ]
    assert len({mine, *(checkpoints(**other) for other in others)}) == 1 + len(others)
