"""Trackers: they see the losses of a training, and change nothing of it."""

from dataclasses import replace

import pytest

from gradual.ground.errors import InputError
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.prompts import prompt_format
from gradual.training import trackers as module
from gradual.training.examples import build_examples
from gradual.training.lora import Training, attach_adapter, train_adapter
from gradual.training.texts import texts, tokenize
from gradual.training.trackers import Tracking, trackers
from tiny import TRAINING, base_model, facts

TENSORBOARD = "tensorboard"


@pytest.fixture
def installed(monkeypatch):
    """A function that says which packages are installed."""
    return lambda *names: monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: name in names or None)


def test_trackers_are_named_with_commas(installed):
    installed("tensorboardX", "wandb")
    assert trackers("none") == ()
    assert trackers("tensorboard, wandb") == ("tensorboard", "wandb")


def test_an_unknown_tracker_and_a_package_that_is_absent_are_errors(installed):
    installed()
    with pytest.raises(InputError, match="'mlfow'; expected none, or some of tensorboard, trackio, wandb"):
        trackers("mlfow")
    with pytest.raises(InputError, match="the package of trackio is not installed; .*pip install trackio"):
        trackers("trackio")


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A function that trains a tiny model with a tracking. Returns the weights of its adapter, and the losses."""
    handle = base_model(tmp_path_factory.mktemp("base"), scale=1.0)
    table, tokenizer = facts(), load_tokenizer(handle)
    chosen = table[table["split"] == "train"][["fact_id"]].head(8).assign(role="train")
    written = texts(build_examples(chosen, table), prompt_format("plain", {}, tokenizer))
    rows = [tokenize(*text, tokenizer, "plain", "answer") for text in written]

    def run(folder, tracking):
        import torch
        from safetensors.numpy import load_file

        torch.manual_seed(0)
        settings = replace(TRAINING, epochs=1)
        model = attach_adapter(load_model(handle, [], "float32"), None, settings)
        found, losses = train_adapter(model, Training(rows, 8, 0.0, settings, 0, folder, tracking=tracking))
        return load_file(found[-1] / "adapter_model.safetensors"), losses

    return run


def test_a_tracker_sees_every_loss_and_the_adapter_is_the_same(training, tmp_path, monkeypatch):
    from transformers import TrainerCallback
    from transformers.integrations import integration_utils

    seen = []

    class StandIn(TrainerCallback):
        def on_log(self, args, state, control, logs, **_):
            seen.append((args.run_name, args.project, logs.get("loss")))

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, TENSORBOARD, StandIn)
    plain, losses = training(tmp_path / "plain", Tracking())
    assert seen == []
    tracked, _ = training(tmp_path / "tracked", Tracking((TENSORBOARD,), "mine/seed0/m/stage1", tmp_path / "events"))
    assert all((plain[name] == tracked[name]).all() for name in plain)
    assert [loss for *_, loss in seen if loss is not None] == [entry["loss"] for entry in losses]
    assert {(run, project) for run, project, _ in seen} == {("mine/seed0/m/stage1", "gradual-learning")}


def test_tensorboard_writes_its_events_into_the_folder(training, tmp_path):
    training(tmp_path / "run", Tracking((TENSORBOARD,), "mine", tmp_path / "events"))
    (events,) = (tmp_path / "events").glob("events.out.tfevents.*")
    assert events.stat().st_size > 0
