"""What a table is made of: the study it tells of, the result files it needs, how it is built and shown."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from gradual.ground.errors import InputError
from gradual.study.runs import ORIGIN, runs, runs_of

FACTS, CATEGORIES, ACCURACY, GRADES, CHOSEN = "facts", "categories", "accuracy", "evaluation_grades", "chosen"
PROBE_GRADES, CHANCE, SELECTION = "probe_grades", "chance", "selection"


@dataclass(frozen=True)
class Model:
    """A model's name in the tables, the paper's model to compare it with, and its runs."""

    label: str
    paper: str | None
    runs: tuple[str, ...] = ()

    def has(self, *states: str) -> bool:
        """Whether the model is brought to all of these states."""
        return set(states) <= {ORIGIN, *self.runs}


@dataclass(frozen=True)
class Study:
    """What the tables know of a study. A table is given the fields that it uses; the others are as here.

    `models` maps keys to models; `one_stage` and `two_stage` are runs; `longer` maps runs to their epochs and `replay` to
    their replay ratio (0 without replay); `strategies`, `rounds` and the controls of a stage are runs.
    """

    seeds: tuple[int, ...]
    models: dict[str, Model]
    scoring: str
    choose_on: str = ""
    one_stage: str = ""
    two_stage: str = ""
    retests: int = 0
    longer: dict[str, int] = field(default_factory=dict)
    strategies: tuple[str, ...] = ()
    rounds: tuple[str, ...] = ()
    one_stage_controls: tuple[str, ...] = ()
    two_stage_controls: tuple[str, ...] = ()
    replay: dict[str, float] = field(default_factory=dict)

    @property
    def stages(self) -> dict[str, str]:
        """The state of each of the paper's stages, in order."""
        return {"Origin": ORIGIN, "One-Stage": self.one_stage, "Two-Stage": self.two_stage}


class Need(NamedTuple):
    """A result file of a seed and a model. `probe` and `split` matter for probes only; facts have no model, no state."""

    kind: str
    state: str = ORIGIN
    probe: int = 0
    split: str = "train"


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
    """A table. `number` is that of the paper's table and `caption` its caption, None and ours where the paper has none.

    `needs` gives the result files of a model, none where the table has nothing to say of it; `uses` names the fields of
    Study that it reads besides seeds, models and scoring; `note` explains our columns below the table.
    """

    name: str
    caption: str
    needs: Callable[[Study, Model], list[Need]]
    build: Callable[[Results, Study], pd.DataFrame]
    columns: tuple[Column, ...]
    note: str
    uses: tuple[str, ...] = ()
    number: int | None = None


def study_of(config: Mapping[str, Any]) -> Study:
    """All that tables can know of a validated config."""
    named, table = config["tables"], runs(config)
    return Study(
        seeds=tuple(config["seeds"]),
        models={
            name: Model(model["label"], model["paper"], tuple(runs_of(config, name)))
            for name, model in config["models"].items()
        },
        scoring=config["scoring"],
        choose_on=config["choose_on"],
        one_stage=named["one_stage"],
        two_stage=named["two_stage"],
        retests=config["probe"]["retests"],
        longer={run: table[run].settings["epochs"] for run in named["longer"]},
        strategies=tuple(named["strategies"]),
        rounds=tuple(named["rounds"]),
        one_stage_controls=tuple(named["controls"]["one_stage"]),
        two_stage_controls=tuple(named["controls"]["two_stage"]),
        replay={run: (table[run].replay or {"ratio": 0.0})["ratio"] for run in named["replay"]},
    )


def needs_by_model(spec: TableSpec, study: Study) -> dict[str, list[Need]]:
    """The result files that a table needs, of each model that it tells of."""
    found = {key: spec.needs(study, model) for key, model in study.models.items()}
    return {key: needs for key, needs in found.items() if needs}


def settings_of(spec: TableSpec, study: Study) -> dict[str, Any]:
    """What a table is told of the study, as JSON takes it: what it uses, no more, so that nothing else re-makes it.

    Mappings are lists of pairs, so that their order, which is that of the rows, stays when JSON's keys are sorted.
    """
    whole = asdict(study)
    needed = {key: {need.state for need in needs} for key, needs in needs_by_model(spec, study).items()}
    models = {key: whole["models"][key] | {"runs": sorted(states - {ORIGIN})} for key, states in needed.items()}
    found = {key: whole[key] for key in ("seeds", "scoring", *spec.uses)} | {"models": models}
    return {key: list(map(list, v.items())) if isinstance(v, dict) else v for key, v in found.items()}


def parse_study(settings: Any) -> Study:
    """The study from what `settings_of` gives, after a way through JSON."""
    try:
        models = {name: Model(m["label"], m["paper"], tuple(m["runs"])) for name, m in dict(settings["models"]).items()}
        maps = {key: dict(settings[key]) for key in ("longer", "replay") if key in settings}
        others = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items() if key != "models"}
        return Study(models=models, **others | maps)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            "--study", f"is {settings!r} ({error})", "the study's settings as rules/tables.smk gives them"
        ) from error
