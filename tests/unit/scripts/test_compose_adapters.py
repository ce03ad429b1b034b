"""A composed state: the weighted adapters of the stages before it, as one adapter, and on it the run's own."""

import json

import pandas as pd
import pytest

import compose_adapters
from damage import copy_of, edit_json
from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.models.adapters import adapter_folder
from gradual.models.composition import read_weights
from gradual.models.loading import load_model
from gradual.training.examples import build_examples
from tiny import base_model, facts, write_adapter

STATES = ["stage1", "mocl2", "mocl3"]


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapters(handle, tmp_path_factory):
    """The handles of the adapters that the three runs trained."""
    folders = [write_adapter(handle, tmp_path_factory.mktemp(f"adapter-{seed}"), seed) for seed in range(3)]
    return [folder / "chosen.json" for folder in folders]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The examples of the three runs. Each trains on other facts, and the last one replays those of the first."""
    table, folder, files = facts(), tmp_path_factory.mktemp("examples"), []
    train = table.loc[table["split"] == "train", ["fact_id"]].reset_index(drop=True)
    for state, (first, end), replayed in zip(STATES, [(0, 8), (8, 12), (12, 16)], [0, 0, 8], strict=True):
        roles = [train[first:end].assign(role="train"), train[:replayed].assign(role="replay")]
        files.append(folder / f"{state}.parquet")
        write_parquet(build_examples(pd.concat(roles), table), files[-1])
    return files


def compose(handle, states, examples, adapters, compositions, out, sharpness=8.0):
    words = ["--base", handle, "--states", *states, "--examples", *examples, "--adapters", *adapters]
    words += ["--compositions", *compositions, "--sharpness", sharpness, "--dtype", "float32", "--composition", out]
    compose_adapters.main([str(word) for word in words])
    return out


@pytest.fixture(scope="module")
def composed(handle, adapters, examples, tmp_path_factory):
    """The handles of what the second and the third run were trained upon."""
    folder = tmp_path_factory.mktemp("composed")
    two = compose(handle, STATES[:2], examples[:2], adapters[:1], [], folder / "mocl2/composed.json")
    return two, compose(handle, STATES, examples, adapters[:2], [two], folder / "mocl3/composed.json")


def changes(handle, folders):
    """What merging the adapters changes of each weight that it changes."""
    before, after = (load_model(handle, found, "float64").state_dict() for found in ([], folders))
    return {name: after[name] - before[name] for name in before if not after[name].equal(before[name])}


def test_the_handle_has_the_weights_of_the_stages_and_of_the_run(composed):
    for states, file in zip((STATES[:2], STATES), composed, strict=True):
        weights = read_weights(file)
        assert list(weights) == states and sum(weights.values()) == pytest.approx(1, abs=1e-5)
        assert len({*weights.values()}) == len(states)
        assert {*json.loads(file.read_text())} == {"weights", "sha256"}
        assert {path.name for path in file.parent.iterdir()} == {
            "composed.json", "adapter_config.json", "adapter_model.safetensors"
        }  # fmt: skip


def test_what_lies_beneath_a_run_is_the_weighted_sum_of_the_stages_adapters(composed, handle, adapters):
    """The second run's adapter holds its weight already, because it was trained with it."""
    import torch

    (two, three), alone = composed, [changes(handle, [file.parent]) for file in adapters[:2]]
    old, new = read_weights(two), read_weights(three)
    found = changes(handle, [adapter_folder(two)])
    for name, change in alone[0].items():
        torch.testing.assert_close(found[name], old["stage1"] * change, rtol=1e-5, atol=1e-6)
    found = changes(handle, [adapter_folder(three)])
    for name, change in alone[0].items():
        expected = new["stage1"] * change + new["mocl2"] * (alone[1][name] / old["mocl2"])
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-6)


def test_a_state_is_the_sum_and_the_runs_own_adapter_and_is_none_of_them_alone(composed, handle, adapters):
    import torch

    both = changes(handle, [adapter_folder(composed[1]), adapters[2].parent])
    parts = [changes(handle, [folder]) for folder in (adapter_folder(composed[1]), adapters[2].parent)]
    for name, change in both.items():
        torch.testing.assert_close(change, parts[0][name] + parts[1][name], rtol=1e-5, atol=1e-6)
        assert not torch.allclose(change, parts[0][name], atol=1e-3)


def test_the_same_inputs_give_the_same_files(composed, handle, adapters, examples, tmp_path):
    again = compose(handle, STATES, examples, adapters[:2], composed[:1], tmp_path / "again.json")
    assert again.read_bytes() == composed[1].read_bytes()


def test_facts_to_replay_are_no_questions_of_the_stage(handle, adapters, examples, tmp_path, monkeypatch):
    asked = []
    real = compose_adapters.queries
    monkeypatch.setattr(compose_adapters, "queries", lambda m, t, texts: asked.append(len(texts)) or real(m, t, texts))
    compose(handle, STATES[::2], examples[::2], adapters[:1], [], tmp_path / "composed.json")
    assert asked == [8, 4]


@pytest.mark.parametrize("weights", [None, {}, [0.5], {"stage1": "0.5"}, {"stage1": 0.0}])
def test_a_handle_without_weights_is_named(weights, composed, tmp_path):
    folder = copy_of(composed[0].parent, tmp_path / "broken")
    edit_json(folder / "composed.json", weights=weights)
    with pytest.raises(InputError, match="is broken; expected a handle as compose_adapters writes it") as caught:
        read_weights(folder / "composed.json")
    assert (caught.value.file, caught.value.key) == (str(folder / "composed.json"), "weights")
