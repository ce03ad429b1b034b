"""Which base models are shipped, as a plan and a preflight know it from the config alone."""

from dataclasses import asdict
from pathlib import Path

import pytest

from gradual.models.shipped import SHELF, ship
from gradual.planning import preflight
from gradual.planning.models import shipped_seeds, text_of
from gradual.study.load_study import load_study
from gradual.training.pretraining import ModelSettings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def config():
    return load_study("default", ROOT)


@pytest.fixture
def shelf(config, tmp_path):
    """A shelf with the default study's Qwen2 for seed 3, and with a model of another recipe."""
    made = tmp_path / "made"
    made.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "loss.csv"):
        (made / name).write_text(name)
    sizes = asdict(ModelSettings(**{key: config["models"]["qwen2"][key] for key in ModelSettings.__annotations__}))
    recipe = {"model": sizes, "settings": config["pretraining"], "seed": 3, "corpus": "c", "code": "x"}
    ship(made, tmp_path / "shelf" / "same", recipe, {"text": text_of(config)})
    ship(made, tmp_path / "shelf" / "other", recipe | {"seed": 4, "settings": {}}, {"text": text_of(config)})
    return tmp_path / "shelf"


def test_a_model_is_shipped_for_the_seeds_whose_card_has_its_settings(config, shelf):
    assert shipped_seeds(config, "qwen2", shelf) == {3} and shipped_seeds(config, "llama3", shelf) == set()
    elsewhere = config | {"dataset": config["dataset"] | {"path": "elsewhere"}}
    assert shipped_seeds(elsewhere, "qwen2", shelf) == {3}


def test_what_no_text_follows_from_does_not_count(config, shelf):
    wordings = {"train": [0], "augment": [1], "test": [2], "columns": None}
    revised = config | {"dataset": config["dataset"] | {"revisions": {"facts": 3}, "wordings": wordings}}
    assert shipped_seeds(revised, "qwen2", shelf) == {3}
    assert shipped_seeds(revised | {"corpus": config["corpus"] | {"reworded": 0.5}}, "qwen2", shelf) == set()


@pytest.mark.parametrize(
    ("section", "key"), [("corpus", "words"), ("world", "people"), ("pretraining", "batch_rows"), ("dataset", "carve")]
)
def test_a_model_of_other_settings_is_not_shipped(section, key, config, shelf):
    other = config | {section: config[section] | {key: None}}
    assert shipped_seeds(other, "qwen2", shelf) == set()


def test_the_default_studys_models_are_shipped_for_its_seed_and_the_preflight_says_so(config):
    for name, model in config["models"].items():
        assert shipped_seeds(config, name, ROOT / SHELF) >= {*config["seeds"]}
        (finding,) = preflight.check_model(name, model)
        assert finding.found == "it is shipped"
        (finding,) = preflight.check_model(name, model, [7, 8])
        assert finding.found == "it is pretrained here for seed 7, 8"
