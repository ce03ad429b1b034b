"""Checkpoints that are not whole: they are dropped, whatever file of them is missing or damaged, and training goes on."""

import logging
import shutil

import pytest
from test_lora import equal, train
from test_pretraining import DOCUMENTS, MODEL, SETTINGS, pretrain

from damage import copy_of, cut, halve
from gradual.training.callbacks import SEAL, last_checkpoint
from gradual.training.checkpoints import checkpoints
from tiny import base_model

FILES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "trainer_state.json", SEAL)
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


def flip(path):
    """Change one bit in the middle, as a bad disk may."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {"missing": lambda path: path.unlink(), "empty": cut, "cut short": halve, "a bit": flip}


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), scale=1.0)


@pytest.fixture(scope="module")
def trained(handle, tmp_path_factory):
    """The folder of a training with the checkpoints of three epochs."""
    return train(handle, tmp_path_factory.mktemp("trained"))[0][0].parent


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("file", [*FILES, *ADAPTER])
def test_a_damaged_checkpoint_is_dropped_and_the_one_before_is_taken(file, damage, trained, tmp_path, caplog):
    folder = copy_of(trained, tmp_path / "copy")
    first, second, third = checkpoints(folder)
    assert last_checkpoint(folder) == str(third)
    damage(third / file)
    with caplog.at_level(logging.WARNING, "gradual"):
        assert last_checkpoint(folder) == str(second)
    assert checkpoints(folder) == [first, second]
    # A digest that has changed in the seal itself is told of the file that it is of.
    named = [path.name for path in second.iterdir()] if file == SEAL else [file, SEAL]
    assert any(f"{third.name} is not whole ({name})" in caplog.text for name in named)
    damage(first / file)  # the adapter of its epoch cannot be had otherwise
    assert last_checkpoint(folder) is None and checkpoints(folder) == []


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "trainer_state.json"])
def test_a_training_goes_on_before_a_damaged_checkpoint_to_the_same_adapters(file, epoch, handle, trained, tmp_path):
    folder = copy_of(trained, tmp_path / "copy")
    halve(checkpoints(folder)[epoch] / file)
    resumed, losses = train(handle, folder)
    assert [entry["step"] for entry in losses] == list(range(1, 10))
    assert all(equal(one, other) for one, other in zip(checkpoints(trained), resumed, strict=True))


@pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "model.safetensors"])
def test_a_pretraining_goes_on_before_a_damaged_checkpoint_to_the_same_model(file, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr("gradual.training.pretraining.SAVE_STEPS", 5)
    straight, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, tmp_path)
    (last,) = checkpoints(tmp_path)
    shutil.copytree(last, tmp_path / "checkpoint-1")  # damaged too, so that nothing is left
    halve(last / file)
    halve(tmp_path / "checkpoint-1" / file)
    resumed, _, _ = pretrain(DOCUMENTS, MODEL, SETTINGS, 3, tmp_path)
    weights = dict(straight.named_parameters())
    assert all(torch.equal(p, weights[n]) for n, p in resumed.named_parameters())
