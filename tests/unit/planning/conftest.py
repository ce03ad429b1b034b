"""What the tests of plans and of the preflight share: each generated world is made once, which takes most of their time."""

import json
from functools import cache
from typing import Any

import pytest

from gradual.data.dataset import WORLD, Dataset, build_dataset
from gradual.planning import facts


@cache
def generated(arguments: str) -> Dataset:
    dataset, world, exemplars, seed = json.loads(arguments)
    return build_dataset(dataset, world, None, exemplars, seed)


@pytest.fixture(autouse=True)
def each_world_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def built(dataset: Any, world: Any, source: Any, exemplars: Any, seed: int) -> Dataset:
        if dataset["reader"] != WORLD:
            return build_dataset(dataset, world, source, exemplars, seed)
        return generated(json.dumps([dataset, world, exemplars, seed], sort_keys=True))

    monkeypatch.setattr(facts, "build_dataset", built)
