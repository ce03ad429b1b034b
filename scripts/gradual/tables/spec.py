"""What a table is made of: the study that it describes, the results that it needs, and how it is built and shown."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

import pandas as pd

from gradual.ground.errors import InputError
from gradual.study.result_files import Result
from gradual.study.runs import ORIGIN, runs, runs_of


@dataclass(frozen=True)
class Model:
    """A model's name in the tables, the paper's model to compare it with, and its runs."""

    label: str
    paper: str | None
    runs: tuple[str, ...] = ()

    def has(self, *states: str) -> bool:
        """Whether the study brings the model to all of these states; False for an empty name."""
        return set(states) <= {ORIGIN, *self.runs}


@dataclass(frozen=True)
class Study:
    """What the tables know of a study. A paper's package adds the roles that runs have in it.

    `models` maps keys to models, and `labels` maps runs to their names in the tables, where these are not their keys.
    `choose_on` is the split that chooses epochs, and `answers` says which answers of a fact count as right.
    """

    seeds: tuple[int, ...]
    models: dict[str, Model]
    scoring: str
    labels: dict[str, str] = field(default_factory=dict)
    choose_on: str = ""
    answers: str = ""

    def title(self, run: str) -> str:
        """A run's name in the tables."""
        return self.labels.get(run, run)


AnyStudy = TypeVar("AnyStudy", bound=Study)
# What was read, by seed, model ("" for what all models share) and result.
Results = dict[tuple[int, str, Result], Any]


@dataclass(frozen=True)
class Column:
    """A column of the Markdown table: its header and the text of a row's cell."""

    header: str
    cell: Callable[[pd.Series], str]
    right: bool = True


@dataclass(frozen=True)
class Part:
    """A part of a table in Markdown, which is a table of its own below the part before it: its heading and its columns.

    `rows` gives the rows that it shows from a model's rows of the CSV: all of them, unless it is another function.
    """

    heading: str
    columns: tuple[Column, ...]
    rows: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame


@dataclass(frozen=True)
class TableSpec:
    """A table. `number` is that of the paper's table, or None if the paper has no such table. A numbered table has the
    paper's caption.

    `needs` gives the results of a model that the table needs, and none for a model that the table leaves out. `uses` names
    the fields of the study that the table reads besides seeds, models, labels and scoring. `reported` are the models that
    the paper's table has. `columns` are those of the Markdown, or its parts, because a table of Markdown must not be
    wider than a page. The CSV has more columns. `note` explains our columns below the table. `facts` says which facts the
    CSV's column `n` counts, if it counts the same ones in all rows of a model.
    """

    name: str
    caption: str
    needs: Callable[[Any, Model], list[Result]]
    build: Callable[[Results, Any], pd.DataFrame]
    columns: tuple[Column, ...] | tuple[Part, ...]
    note: str
    uses: tuple[str, ...] = ()
    number: int | None = None
    reported: tuple[str, ...] = ()
    facts: str = ""

    @property
    def parts(self) -> list[Part]:
        """The parts of the Markdown; a table without parts is a part without a heading."""
        columns = tuple(each for each in self.columns if isinstance(each, Column))
        return [Part("", columns)] if columns else [each for each in self.columns if isinstance(each, Part)]


def common_of(config: Mapping[str, Any], reported: Collection[str]) -> dict[str, Any]:
    """The fields of Study from a config that has been loaded. A model is compared with none that is not in `reported`,
    which are the models of the tables' paper."""
    return {
        "seeds": tuple(config["seeds"]),
        "models": {
            name: Model(
                model["label"],
                model["paper"] if model["paper"] in reported else None,
                tuple(runs_of(dict(config), name)),
            )
            for name, model in config["models"].items()
        },
        "scoring": config["scoring"],
        "choose_on": config["choose_on"],
        "answers": config["answers"],
        "labels": {name: run.label for name, run in runs(dict(config)).items() if run.label != name},
    }


def needs_by_model(spec: TableSpec, study: Study) -> dict[str, list[Result]]:
    """The results that a table needs, by model; without the models that the table leaves out."""
    found = {key: spec.needs(study, model) for key, model in study.models.items()}
    return {key: needs for key, needs in found.items() if needs}


def settings_of(spec: TableSpec, study: Study) -> dict[str, Any]:
    """The settings of the study that a table uses, for JSON. Other settings are left out, so that they do not re-make it.

    Mappings become lists of pairs. So they keep their order, which is the order of the rows, when JSON's keys are sorted.
    """
    whole = asdict(study)
    needed = {key: {need.state for need in needs} for key, needs in needs_by_model(spec, study).items()}
    models = {key: whole["models"][key] | {"runs": sorted(states - {ORIGIN})} for key, states in needed.items()}
    told = set().union(*needed.values()) if needed else set()
    labels = {run: label for run, label in study.labels.items() if run in told}
    found = {key: whole[key] for key in ("seeds", "scoring", *spec.uses)} | {"models": models, "labels": labels}
    return {key: list(map(list, v.items())) if isinstance(v, dict) else v for key, v in found.items()}


def parse_study(kind: type[AnyStudy], settings: Any) -> AnyStudy:
    """The study from the settings that `settings_of` gives, after they were written and read as JSON."""
    try:
        models = {name: Model(m["label"], m["paper"], tuple(m["runs"])) for name, m in dict(settings["models"]).items()}
        maps = {f.name for f in fields(kind) if f.default_factory is dict}
        others: dict[str, Any] = {
            key: dict(v) if key in maps else tuple(v) if isinstance(v, list) else v
            for key, v in settings.items()
            if key != "models"
        }
        return kind(models=models, **others)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            "--study", f"is {settings!r} ({error})", "the study's settings as rules/tables.smk gives them"
        ) from error
