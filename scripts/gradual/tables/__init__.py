"""The paper's tables with our numbers beside its own: one function per table, from result files to a tidy frame."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.errors import InputError
from gradual.tables import accuracies, category_counts, markdown, origin_categories, results, transitions
from gradual.tables.spec import CATEGORIES, ORIGIN, Need, TableSpec, study_of

TABLES: dict[int, TableSpec] = {
    spec.number: spec
    for spec in (
        origin_categories.SPEC,
        transitions.TRAINING_SPEC,
        transitions.RETEST_SPEC,
        accuracies.SPEC,
        category_counts.SPEC,
    )
}


def needs(number: int, config: Mapping[str, Any]) -> list[Need]:
    """The results that a table needs under a config, for every seed and model.

    Raises InputError where it needs a re-probe of the origin and the config has none.
    """
    wanted = TABLES[number].needs(study_of(config))
    retests = max((need.probe for need in wanted if (need.kind, need.state) == (CATEGORIES, ORIGIN)), default=0)
    if retests > config["probe"]["retests"]:
        problem = f"Table {number} needs a second probe of the origin"
        raise InputError("config", problem, f"at least {retests}, or tables.show without {number}", key="probe.retests")
    return wanted


def inputs(number: int, config: Mapping[str, Any]) -> list[str]:
    """The files that a table needs under a config, relative to results/<study>/."""
    keys = results.keys(study_of(config), needs(number, config))
    return [results.path(need, seed, model) for seed, model, need in keys]


def render(number: int, frame: pd.DataFrame) -> str:
    """A table's Markdown from its CSV."""
    return markdown.render(TABLES[number], frame)
