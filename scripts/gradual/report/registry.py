"""All figures by name, in the order of the page, and what a study needs to have one."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.choices import Choice
from gradual.ground.files import read_json
from gradual.report import canvas
from gradual.report.spec import FigureSpec, Needs
from gradual.study.result_files import FIGURE_CSV, PROVENANCE, TABLE_CSV, path
from gradual.tables.table_csv import read_table

FIGURES = Choice(
    "figure",
    {
        "claims": "gradual.report.figures.claims:SPEC",
        "stage_claims": "gradual.report.figures.claims:STAGES_SPEC",
        "accuracy": "gradual.report.figures.accuracies:STAGES_SPEC",
        "flows": "gradual.report.figures.flows:SPEC",
        "categories": "gradual.report.figures.categories:SPEC",
        "categories_by_state": "gradual.report.figures.categories:STAGES_SPEC",
        "epochs": "gradual.report.figures.epochs:SPEC",
        "strategies": "gradual.report.figures.accuracies:STRATEGIES_SPEC",
        "strategies_by_category": "gradual.report.figures.accuracies:BY_CATEGORY_SPEC",
        "controls": "gradual.report.figures.accuracies:CONTROLS_SPEC",
        "guessing": "gradual.report.figures.accuracies:GUESSING_SPEC",
        "replay": "gradual.report.figures.replay:SPEC",
        "chance": "gradual.report.figures.chance:SPEC",
        "stages": "gradual.report.figures.stages:SPEC",
        "retention": "gradual.report.figures.stages:RETENTION_SPEC",
        "methods": "gradual.report.figures.methods:SPEC",
        "budgets": "gradual.report.figures.budgets:SPEC",
        "matrix": "gradual.report.figures.matrix:SPEC",
        "log_ratios": "gradual.report.figures.log_ratios:SPEC",
        "time": "gradual.report.figures.time:SPEC",
    },
)


def shown(config: Mapping[str, Any], tables: Collection[str], needs: Needs) -> dict[str, dict[str, Any]]:
    """The figures of a study, each with what it needs to know of the study, for JSON.

    `tables` are those that the study shows, and `needs` are the results that they need, by model.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in FIGURES:
        spec: FigureSpec = FIGURES[name]
        told = spec.own.settings(config, needs) if spec.own else {}
        if {*spec.tables} <= {*tables} and (told or not spec.own):
            found[name] = told
    return found


def files(name: str, told: Mapping[str, Any]) -> list[str]:
    """The files that a figure is drawn from, relative to results/<study>/, by its settings."""
    spec: FigureSpec = FIGURES[name]
    if spec.own is not None:
        return spec.own.files(told)
    return [*(path(TABLE_CSV, table=table) for table in spec.tables), *([path(PROVENANCE)] if spec.provenance else [])]


def numbers(name: str, root: Path, told: Mapping[str, Any]) -> pd.DataFrame:
    """What a figure shows, from the results below results/<study>/. Raises InputError for a file that is not there."""
    spec: FigureSpec = FIGURES[name]
    if spec.own is not None:
        return spec.own.numbers(root, told)
    assert spec.numbers is not None
    read: dict[str, Any] = {table: read_table(root / path(TABLE_CSV, table=table)) for table in spec.tables}
    if spec.provenance:
        read[PROVENANCE] = read_json(root / path(PROVENANCE), "a study's provenance")
    return spec.numbers(read)


def published_numbers(name: str, root: Path, tables: Collection[str]) -> pd.DataFrame | None:
    """What a figure of a published study shows, from its tables or, for one of other results, from the figure's own CSV.

    None for a study without the figure.
    """
    spec: FigureSpec = FIGURES[name]
    kept = root / path(FIGURE_CSV, figure=name)
    if not {*spec.tables} <= {*tables} or (spec.own is not None and not kept.exists()):
        return None
    return read_table(kept) if spec.own is not None else numbers(name, root, {})


def svg(name: str, shown: pd.DataFrame) -> str:
    """A figure as SVG, from its numbers."""
    spec: FigureSpec = FIGURES[name]
    return canvas.svg(lambda: spec.draw(shown), name)
