"""Base models that are part of the repository: which one a study takes, and that each is as its card says."""

import json
from pathlib import Path

import pytest

from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models.shipped import CARD, equal, find, ship, take, texts_digest
from gradual.workflow.fingerprint import code_fingerprint

ROOT = Path(__file__).resolve().parents[3]
PRETRAINING = ROOT / "scripts" / "gradual" / "training" / "pretraining.py"
SHIPPED = sorted((ROOT / "pretrained").glob(f"*/{CARD}"))
RECIPE = {"model": {"layers": 1}, "settings": {"batch_rows": 4}, "seed": 3, "corpus": "c", "code": "x"}


@pytest.fixture
def shelf(tmp_path):
    """A shelf with one shipped model."""
    made = tmp_path / "made"
    made.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "loss.csv"):
        (made / name).write_text(f"content of {name}")
    (made / "base.json").write_text("the handle, which is not shipped")
    ship(made, tmp_path / "pretrained" / "one", RECIPE, {"made": {"date": "2026-01-01"}})
    return tmp_path / "pretrained"


def test_a_study_takes_the_model_that_has_its_recipe(shelf, tmp_path):
    assert find(RECIPE, shelf) == shelf / "one"
    take(shelf / "one", tmp_path / "base")
    names = {file.name for file in (tmp_path / "base").iterdir()}
    assert names == {"model.safetensors", "config.json", "tokenizer.json", "loss.csv"}
    assert equal(tmp_path / "base", shelf / "one") and equal(tmp_path / "made", shelf / "one")


@pytest.mark.parametrize("key", RECIPE)
def test_a_model_of_another_recipe_is_not_taken(key, shelf):
    assert find(RECIPE | {key: "other"}, shelf) is None
    assert find({name: value for name, value in RECIPE.items() if name != key}, shelf) is None


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "loss.csv"])
def test_a_file_that_is_not_as_it_was_shipped_is_refused_and_told_apart(name, shelf, tmp_path):
    (shelf / "one" / name).write_text("changed")
    with pytest.raises(InputError, match="is not as the card says") as caught:
        take(shelf / "one", tmp_path / "base")
    assert caught.value.file == str(shelf / "one" / name) and not (tmp_path / "base").exists()
    (tmp_path / "made" / name).write_text("made otherwise")
    assert not equal(tmp_path / "made", shelf / "one")


@pytest.mark.parametrize("text", ["{", "[]", '{"sha256": {}}', '{"recipe": 3}'])
def test_a_broken_card_is_a_clear_error(text, shelf):
    (shelf / "one" / CARD).write_text(text)
    with pytest.raises(InputError) as caught:
        find(RECIPE, shelf)
    assert caught.value.file == str(shelf / "one" / CARD)


def test_the_digest_of_texts_follows_their_borders():
    digests = {texts_digest(texts) for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], [])}
    assert len(digests) == 5


@pytest.mark.parametrize("card", SHIPPED, ids=lambda card: card.parent.name)
def test_each_shipped_model_is_as_its_card_says_and_of_the_code_here(card):
    found = json.loads(card.read_text())
    assert found["sha256"] == {f.name: digest(f) for f in card.parent.iterdir() if f.name != CARD}
    message = "pretraining has changed: run `make pretrained` for the studies of the shipped models"
    assert found["recipe"]["code"] == code_fingerprint(PRETRAINING, ROOT / "scripts" / "gradual"), message
    assert {"date", "processor", "packages"} <= set(found["made"]) and {"dataset", "corpus"} <= set(found["text"])
