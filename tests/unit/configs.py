"""Parts of configs that tests overlay on the default one, and what must come of a wrong one."""

import json
from pathlib import Path

import pytest
import yaml

from gradual.ground.errors import InputError
from gradual.study import config

ROOT = Path(__file__).resolve().parents[2]
DEFAULT, SCHEMA = ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json"
RULES = json.loads(SCHEMA.read_text(encoding="utf-8"))
GRADUAL_LEARNING = ROOT / "studies" / "gradual_learning.yaml"
DEFAULT_RUNS = yaml.safe_load(GRADUAL_LEARNING.read_text(encoding="utf-8"))["runs"]
SAME = {"from": "origin", "select": {"origin": ["MaybeKnown"]}}
COMPOSE = {"adapter": "compose", "compose": {"sharpness": 8}}
REPLAY = {"category": "HighlyKnown", "ratio": 0.2}
PREFERENCE = {"objective": "preference", "preference": {}}
TINY = {
    "label": "tiny",
    "source": "pretrain",
    "architecture": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 128,
    "layers": 2,
    "heads": 4,
    "key_value_heads": 2,
}
NO_ROLES = {"two_stage": None, "longer": [], "strategies": [], "rounds": []} | {
    "controls": {"one_stage": [], "two_stage": []}
}
EXTENDED = {"extends": "gradual_learning"}
HUB = {"label": "hub", "source": "hub", "repo": "owner/name", "revision": "0" * 40}
PACKAGE = {"label": "package", "source": "package", "package": "tiny-model", "version": "0.1", "file": "a/b.gguf"}
PACKAGE |= {"sha256": "0" * 64}
WORLD = {"reader": "world", "carve": {"test": 0.3, "dev": 0.1}}
SETTING_1 = {"count": 2, "facts": 6, "kept": 4, "unrelated": 5}
SETTING_2 = {"domains": {"places": ["P17", "P36"], "lives": ["P19"]}, "own": 6, "conflicting": 3}
USES = {"train": [0], "augment": [1, 2], "test": [3]}
ARCHIVE = {"reader": "entity_questions", "url": "https://example.org/dataset.zip", "sha256": "0" * 64}


def load(overrides=None):
    return config.load_config(overrides or {}, DEFAULT, SCHEMA)


def with_runs(**runs):
    """A study with these runs beside the default ones, of which `stage1` and `strategy5` are plain."""
    return {"runs": {"stage1": SAME, "strategy5": SAME | {"from": "stage1"}} | runs}


def revised(**revisions):
    """A study of the world whose answers change."""
    return {"dataset": WORLD | {"revisions": revisions}}


def worded(dataset=WORLD, **wordings):
    """A study whose questions have other wordings."""
    return {"dataset": dataset | {"wordings": wordings}}


def without(mapping, *keys):
    return {key: value for key, value in mapping.items() if key not in keys}


def assert_refused(overrides, key, hint):
    """Loading refuses the overrides, and names the study's file, the key, and what was expected.

    A key that ends with a point is the beginning of the key that is named.
    """
    with pytest.raises(InputError) as caught:
        load(overrides)
    assert caught.value.key.startswith(key) if key.endswith(".") else caught.value.key == key
    assert hint in str(caught.value)
    name = overrides.get("study")
    assert caught.value.file == (name if isinstance(name, str) else "config")
