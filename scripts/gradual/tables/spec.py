"""What a table is made of: the study it tells of, the result files it needs, how it is built and shown."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from gradual.errors import InputError

ORIGIN = "origin"
FACTS, CATEGORIES, ACCURACY, GRADES, CHOSEN = "facts", "categories", "accuracy", "evaluation_grades", "chosen"


@dataclass(frozen=True)
class Model:
    """A model's name in the tables and the paper's model to compare it with."""

    label: str
    paper: str | None


@dataclass(frozen=True)
class Study:
    """What the tables know of a study. `models` maps keys to models; `one_stage` and `two_stage` are runs."""

    seeds: tuple[int, ...]
    models: dict[str, Model]
    one_stage: str
    two_stage: str
    retests: int
    scoring: str
    choose_on: str

    @property
    def stages(self) -> dict[str, str]:
        """The state of each of the paper's stages, in order."""
        return {"Origin": ORIGIN, "One-Stage": self.one_stage, "Two-Stage": self.two_stage}


def study_of(config: Mapping[str, Any]) -> Study:
    """What the tables need to know of a validated config."""
    return Study(
        seeds=tuple(config["seeds"]),
        models={name: Model(model["label"], model["paper"]) for name, model in config["models"].items()},
        one_stage=config["tables"]["one_stage"],
        two_stage=config["tables"]["two_stage"],
        retests=config["probe"]["retests"],
        scoring=config["scoring"],
        choose_on=config["choose_on"],
    )


def parse_models(text: str) -> dict[str, Model]:
    """The models from JSON: {"name": {"label": "…", "paper": "…" or null}, …}."""

    def parse(name: str, value: Any) -> Model:
        if not isinstance(value, dict) or not isinstance(value.get("label"), str):
            raise InputError("--models", f"model {name!r} is {value!r}", 'an object with a "label"', key=name)
        return Model(value["label"], value.get("paper"))

    try:
        models = json.loads(text)
    except ValueError as error:
        raise InputError("--models", f"is no JSON ({error})", "an object of models") from error
    if not isinstance(models, dict) or not models:
        raise InputError("--models", f"is {models!r}", "an object with at least one model")
    return {name: parse(name, value) for name, value in models.items()}


class Need(NamedTuple):
    """A result file of every seed and model. `probe` matters for categories only; facts have no model and no state."""

    kind: str
    state: str = ORIGIN
    probe: int = 0


# What was read, by seed, model ("" for facts) and need.
Results = dict[tuple[int, str, Need], Any]


@dataclass(frozen=True)
class Column:
    """A column of the Markdown table: its header and the text of a row's cell."""

    header: str
    cell: Callable[[pd.Series], str]
    right: bool = True


@dataclass(frozen=True)
class TableSpec:
    """A table of the paper. `caption` is the paper's; `note` explains our columns below the table."""

    number: int
    caption: str
    needs: Callable[[Study], list[Need]]
    build: Callable[[Results, Study], pd.DataFrame]
    columns: tuple[Column, ...]
    note: str
