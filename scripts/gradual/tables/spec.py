"""What a table is: its number and caption, the result files it needs, how it is built and how its columns are shown."""

import math
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from gradual.errors import InputError

from gradual import layout
from gradual.errors import InputError
from gradual.statistics import Estimate

ORIGIN = "origin"
STAGES = ("Origin", "One-Stage", "Two-Stage")


@dataclass(frozen=True)
class Model:
    """A model of the study: its key in the config, its name in the tables, the paper's model to compare it with."""

    name: str
    label: str
    paper: str | None


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


@dataclass(frozen=True)
class Study:
    """What the tables know of a study; `one_stage` and `two_stage` are names of runs."""

    seeds: tuple[int, ...]
    models: tuple[Model, ...]
    one_stage: str
    two_stage: str
    retests: int
    scoring: str
    choose_on: str

    @property
    def stages(self) -> dict[str, str]:
        """The state of each of the paper's stages."""
        return dict(zip(STAGES, (ORIGIN, self.one_stage, self.two_stage), strict=True))


def models_of(models: Mapping[str, Mapping[str, Any]]) -> tuple[Model, ...]:
    """The models of a config's `models` section, of which only `label` and `paper` are read."""
    return tuple(Model(name, model["label"], model["paper"]) for name, model in models.items())


def study_of(config: Mapping[str, Any]) -> Study:
    """What the tables need of a validated config."""
    tables = config["tables"]
    return Study(
        seeds=tuple(config["seeds"]),
        models=models_of(config["models"]),
        one_stage=tables["one_stage"],
        two_stage=tables["two_stage"],
        retests=config["probe"]["retests"],
        scoring=config["scoring"],
        choose_on=config["choose_on"],
    )


class Need(NamedTuple):
    """A result file that a table reads for every seed and model.

    `kind` is facts, categories, accuracy, evaluation_grades or chosen. `probe` matters for categories only; facts belong
    to no state and are listed under `origin`.
    """

    kind: str
    state: str = ORIGIN
    probe: int = 0

    def path(self, seed: object, model: str) -> str:
        """The file, relative to results/<study>/."""
        if self.kind == "facts":
            return layout.facts(seed)
        if self.kind == "categories":
            return layout.categories(seed, model, self.state, self.probe)
        return getattr(layout, self.kind)(seed, model, self.state)


# (seed, model's name, need) -> what `loading.load` made of the file
Inputs = Mapping[tuple[int, str, Need], Any]


@dataclass(frozen=True)
class Column:
    """A column of the Markdown table; left out where the frame has no column `key`."""

    header: str
    key: str
    cell: Callable[[pd.Series], str]
    right: bool = True


@dataclass(frozen=True)
class TableSpec:
    """A table of the paper: `build(study, inputs)` gives its frame, `inputs(study)` the files for that.

    `unit` says what n counts. `required` columns have a number in every row, except in rows whose `note` says why not.
    """

    number: int
    caption: str
    inputs: Callable[[Study], list[Need]]
    build: Callable[[Study, Inputs], pd.DataFrame]
    columns: tuple[Column, ...]
    required: tuple[str, ...]
    unit: str
    remark: str = ""

    def needs(self, config: Mapping[str, Any]) -> list[Need]:
        """The files that the table needs under a config, each for every seed and model.

        Raises InputError where the config makes no such file.
        """
        needs = self.inputs(study_of(config))
        for need in needs:
            if need.state != ORIGIN and need.state not in config["runs"]:
                key = "one_stage" if need.state == config["tables"]["one_stage"] else "two_stage"
                raise InputError(
                    "config",
                    f"Table {self.number} needs the run {need.state!r}, which does not exist",
                    f"one of the runs {', '.join(config['runs'])}",
                    key=f"tables.{key}",
                )
            if need.kind == "categories" and need.state == ORIGIN and need.probe > config["probe"]["retests"]:
                raise InputError(
                    "config",
                    f"Table {self.number} needs a second probe of the origin",
                    f"at least {need.probe}, or no {self.number} in tables.show",
                    key="probe.retests",
                )
        return needs


def estimate_columns(name: str, estimate: Estimate) -> dict[str, float]:
    """The estimate as the columns name, name_low and name_high."""
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def check_complete(spec: TableSpec, frame: pd.DataFrame, file: object) -> None:
    """Raise InputError at the first cell that should have a number and has none."""
    noted = frame["note"].notna() if "note" in frame else pd.Series(False, index=frame.index)
    for column in spec.required:
        missing = frame[column].isna() & ~noted
        if missing.any():
            raise InputError(file, "there is no number", "one", row=int(missing.to_numpy().argmax()) + 1, key=column)


MISSING = "–"


def _number(value: Any, form: Callable[[float], str]) -> str:
    return MISSING if pd.isna(value) else form(float(value))


def _whole_or_tenth(value: float) -> str:
    return f"{value:,.0f}" if math.isclose(value, round(value)) else f"{value:,.1f}"


def text(header: str, key: str) -> Column:
    """A column of words."""
    return Column(header, key, lambda row: MISSING if pd.isna(row[key]) else str(row[key]), right=False)


def count(header: str, key: str) -> Column:
    """A column of counts with thousands separators; means over seeds have one decimal."""
    return Column(header, key, lambda row: _number(row[key], _whole_or_tenth))


def number(header: str, key: str, digits: int, scale: float = 1, sign: bool = False) -> Column:
    """A column of numbers with so many decimals, multiplied by `scale`."""
    form = f"{'+' if sign else ''},.{digits}f"
    return Column(header, key, lambda row: _number(row[key], lambda value: format(scale * value, form)))


def interval(header: str, key: str, digits: int, scale: float = 1, sign: bool = False) -> Column:
    """A column of numbers with the interval in brackets, which is left out where there is none."""
    form = f"{'+' if sign else ''},.{digits}f"

    def cell(row: pd.Series) -> str:
        value, low, high = (
            _number(row[f"{key}{end}"], lambda v: format(scale * v, form)) for end in ("", "_low", "_high")
        )
        return value if MISSING in (low, high) else f"{value} [{low}, {high}]"

    return Column(header, key, cell)


def percent(header: str, key: str) -> Column:
    """A column of shares (0..1) in percent."""
    return number(header, key, digits=1, scale=100)


def percent_interval(header: str, key: str) -> Column:
    """A column of shares (0..1) in percent with their intervals."""
    return interval(header, key, digits=1, scale=100)
