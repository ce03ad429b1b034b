"""The paper's tables with our numbers beside its own, and ours: one per entry, from result files to a tidy frame."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.tables import markdown, results
from gradual.tables.gradual_learning import (
    accuracies,
    category_counts,
    chance_rates,
    claims,
    comparisons,
    graph,
    longer,
    origin_categories,
    scoring_rules,
    strategies,
    transitions,
)
from gradual.tables.spec import CHANCE, PROBE_GRADES, Need, TableSpec, needs_by_model, settings_of, study_of

TABLES: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        origin_categories.SPEC,
        transitions.TRAINING_SPEC,
        transitions.RETEST_SPEC,
        graph.SPEC,
        longer.SPEC,
        accuracies.STAGES_SPEC,
        strategies.OVERALL_SPEC,
        strategies.BY_CATEGORY_SPEC,
        category_counts.SPEC,
        accuracies.ROUNDS_SPEC,
        transitions.SECOND_SPEC,
        comparisons.CONTROLS_SPEC,
        comparisons.REPLAY_SPEC,
        scoring_rules.SPEC,
        chance_rates.SPEC,
        claims.SPEC,
    )
}

COUNTED = (PROBE_GRADES, CHANCE)  # results on which every answer to a fact bears, not its category alone

# Where the config has what is not in tables under the name that it has in Study.
PLACES = {
    "retests": "probe.retests",
    "one_stage_controls": "tables.controls.one_stage",
    "two_stage_controls": "tables.controls.two_stage",
}


def name_of(shown: int | str) -> str:
    """The table that an entry of the config's tables.show stands for: a number of the paper's, or a name of ours."""
    return f"table_{shown:02}" if isinstance(shown, int) else shown


def needs(name: str, config: Mapping[str, Any]) -> dict[str, list[Need]]:
    """The result files that a table needs under a config, of each model it tells of.

    Raises InputError where the config has no model with the runs that the table is about, or where its probes leave out
    answers that the table counts.
    """
    study = study_of(config)
    found = needs_by_model(TABLES[name], study)
    if not found:
        keys = [PLACES.get(key, f"tables.{key}") for key in TABLES[name].uses if key != "choose_on"]
        problem = f"no model has the runs that {markdown.title(TABLES[name])} is about"
        expected = f"them in {', '.join(keys)} and among the runs of a model, or tables.show without it"
        raise InputError("config", problem, expected, key="tables.show")
    if config["probe"]["counts"] == "settled" and _counts(found):
        others = [spec.name for spec in TABLES.values() if _counts(needs_by_model(spec, study))]
        problem = f"{markdown.title(TABLES[name])} counts all answers to a fact, and probe.counts is settled"
        expected = f"probe.counts: exact, or tables.show without {' and '.join(others)}"
        raise InputError("config", problem, expected, key="tables.show")
    return found


def _counts(needs: Mapping[str, list[Need]]) -> bool:
    """Whether what a table needs is made of all answers to a fact."""
    return any(need.kind in COUNTED for wanted in needs.values() for need in wanted)


def all_needs(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, list[Need]]:
    """The result files that several tables need, of each model, each once; raises InputError as `needs` does."""
    found: dict[str, dict[Need, None]] = {}
    for name in names:
        for model, wanted in needs(name, config).items():
            found.setdefault(model, {}).update(dict.fromkeys(wanted))
    return {model: list(wanted) for model, wanted in found.items()}


def inputs(name: str, config: Mapping[str, Any]) -> list[str]:
    """The files that a table needs under a config, relative to results/<study>/."""
    keys = results.keys(study_of(config), needs(name, config))
    return [results.path(need, seed, model) for seed, model, need in keys]


def settings(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a table is told of the study; see `spec.settings_of`."""
    return settings_of(TABLES[name], study_of(config))


def render(name: str, frame: pd.DataFrame) -> str:
    """A table's Markdown from its CSV."""
    return markdown.render(TABLES[name], frame)
