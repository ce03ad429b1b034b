"""All tables by name, from the packages of the papers: the results that they need under a config, and their settings."""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.study.result_files import CHANCE, PROBE_GRADES, Result
from gradual.tables import markdown, reading
from gradual.tables.gradual_learning.package import PACKAGE as GRADUAL_LEARNING
from gradual.tables.multi_stage.package import PACKAGE as MULTI_STAGE
from gradual.tables.package import Package
from gradual.tables.spec import Study, TableSpec, needs_by_model, parse_study, settings_of

PACKAGES = (GRADUAL_LEARNING, MULTI_STAGE)
TABLES: Mapping[str, TableSpec] = ChainMap(*(package.tables for package in reversed(PACKAGES)))  # type: ignore[arg-type]
NO_RUNS = ("choose_on", "answers", "frequent_share", "trained", "unseen")  # fields of a study that name no runs
COUNTED = (PROBE_GRADES, CHANCE)  # results that depend on all answers to a fact, and not only on its category


def name_of(shown: int | str) -> str:
    """The name of the table that an entry of tables.show in the config means: a number of the paper, or our name."""
    return f"table_{shown:02}" if isinstance(shown, int) else shown


def package_of(name: str) -> Package:
    """The package that has a table."""
    return next(package for package in PACKAGES if name in package.tables)


def needs(name: str, config: Mapping[str, Any]) -> dict[str, list[Result]]:
    """The results that a table needs under a config, by model.

    Raises InputError if no model of the config has the runs that the table is about, or if its probes leave out answers
    that the table counts.
    """
    package, spec = package_of(name), TABLES[name]
    study = package.study_of(config)
    found = needs_by_model(spec, study)
    if not found:
        keys = [package.places.get(key, f"tables.{key}") for key in spec.uses if key not in NO_RUNS]
        problem = f"no model has the runs that {markdown.title(spec)} is about"
        expected = f"them in {', '.join(dict.fromkeys(keys))} and among the runs of a model, or tables.show without it"
        raise InputError("config", problem, expected, key="tables.show")
    if config["probe"]["counts"] == "settled" and _counts(found):
        others = [name for name, other in package.tables.items() if _counts(needs_by_model(other, study))]
        problem = f"{markdown.title(spec)} counts all answers to a fact, and probe.counts is settled"
        expected = f"probe.counts: exact, or tables.show without {' and '.join(others)}"
        raise InputError("config", problem, expected, key="tables.show")
    return found


def _counts(needed: Mapping[str, list[Result]]) -> bool:
    """Whether a table needs results that depend on all answers to a fact."""
    return any(need.kind in COUNTED for wanted in needed.values() for need in wanted)


def all_needs(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, list[Result]]:
    """The results that several tables need, of each model, each once; raises InputError as `needs` does."""
    found: dict[str, dict[Result, None]] = {}
    for name in names:
        for model, wanted in needs(name, config).items():
            found.setdefault(model, {}).update(dict.fromkeys(wanted))
    return {model: list(wanted) for model, wanted in found.items()}


def inputs(name: str, config: Mapping[str, Any]) -> list[str]:
    """The files that a table needs under a config, relative to results/<study>/."""
    keys = reading.keys(package_of(name).study_of(config), needs(name, config))
    return [reading.path(need, seed, model) for seed, model, need in keys]


def settings(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the study that a table uses; see `spec.settings_of`."""
    return settings_of(TABLES[name], package_of(name).study_of(config))


def study(name: str, told: Any) -> Study:
    """The study that a table describes, from its settings."""
    return parse_study(package_of(name).study, told)


def about(names: Sequence[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """What the head of a study's tables says of the study, for JSON; see `head.head`.

    `cited` are the papers that have the captions and the paper's numbers, and `models` are pairs of a label and the paper's
    model, or None. `facts` says what the numbers of facts in the tables count, by table.
    """
    packages = [package for package in PACKAGES if any(name in package.tables for name in names)]
    studies = [package.study_of(config) for package in packages]
    papers = {key: [each.models[key].paper for each in studies] for key in config["models"]}
    models = [(config["models"][key]["label"], next(filter(None, found), None)) for key, found in papers.items()]
    told = {key: config[key] for key in ("study", "seeds", "scoring", "choose_on", "answers")}
    facts = {name: TABLES[name].facts for name in names if TABLES[name].facts}
    return told | {"models": models, "cited": [package.citation for package in packages], "facts": facts}


def render(name: str, frame: pd.DataFrame) -> str:
    """A table's Markdown from its CSV."""
    return markdown.render(TABLES[name], frame)
