"""What a method keeps against what it learns: a curve over its budgets of training."""

import json
from collections import defaultdict
from collections.abc import Mapping
from itertools import cycle
from os.path import commonprefix
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.report.canvas import (
    BLACK,
    BLUE,
    GREEN,
    MEDIUM,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    Canvas,
    legend_height,
    tidy,
)
from gradual.report.dots import by_model, readable
from gradual.report.spec import FigureSpec, Needs, Own
from gradual.study.result_files import TABLE_CSV, path
from gradual.study.runs import REPEATS
from gradual.tables.table_csv import read_table

VARIED = ("learning_rate", "epochs", "label", "stages")  # keys in which the methods of a curve may differ
MARKS = zip((BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK), "os^DvPX", strict=True)
STYLES: list[dict[str, Any]] = [{"color": colour, "marker": marker, "markersize": 5} for colour, marker in MARKS]
HIGH, LEFT = 330, 42  # the height of a model's part, and the room for the ticks
PERCENTS = ("new_percent", "kept_percent")


def settings(config: Mapping[str, Any], needs: Needs) -> dict[str, Any]:
    """The names of the methods of each curve, by its name: they differ in nothing but the learning rate and the epochs."""
    alike: dict[str, list[str]] = defaultdict(list)
    for key, method in config["methods"].items():
        alike[json.dumps(_how(config["methods"], key), sort_keys=True)].append(method.get("label") or key)
    curves: dict[str, list[str]] = {}
    for names in (names for names in alike.values() if len(names) > 1):
        shared = commonprefix(names).rstrip("_,:;( ")
        curves[names[0] if not shared or shared in curves else shared] = names
    return {"curves": curves} if curves else {}


def _how(methods: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """How a method trains at whatever budget. One that takes the steps of another method is told by how that one trains."""
    kept = {key: value for key, value in methods[name].items() if key not in VARIED}
    return kept | {key: _how(methods, kept[key]) for key in REPEATS if kept.get(key)}


def files(told: Mapping[str, Any]) -> list[str]:
    """The table of budgets."""
    return [path(TABLE_CSV, table="budgets")]


def numbers(root: Path, told: Mapping[str, Any]) -> pd.DataFrame:
    """A row per model, curve and budget, in the order of the new answers."""
    table = read_table(root / path(TABLE_CSV, table="budgets")).sort_values("new_percent", kind="stable")
    curves = {method: curve for curve, methods in told["curves"].items() for method in methods}
    parts = [rows[rows["method"].isin(methods)] for _, rows in by_model(table) for methods in told["curves"].values()]
    shown = pd.concat(parts)
    return shown.assign(name=shown["method"].map(curves))[["label", "name", "method", "budget", *PERCENTS]]


def draw(shown: pd.DataFrame) -> Canvas:
    """A square of both shares per model, with a line per curve."""
    styles = dict(zip(dict.fromkeys(shown["name"]), cycle(STYLES)))
    entries = [(readable(name), how) for name, how in styles.items()]
    top, models = legend_height(entries) + 2, list(by_model(shown))
    canvas = Canvas(top + len(models) * HIGH)
    canvas.legend(2, entries)
    for number, (label, rows) in enumerate(models):
        above = top + number * HIGH
        canvas.text(8, above + 12, label, weight="bold", size=MEDIUM)
        canvas.text(8, above + 30, "new answers right, %")
        axes = canvas.axes(LEFT, above + 42, WIDTH - LEFT - 14, HIGH - 86)
        for name, of in rows.groupby("name", sort=False):
            axes.plot(of["kept_percent"], of["new_percent"], linewidth=1.3, **styles[name])
        tidy(axes, "both")
        axes.set(xlim=(-2, 102), ylim=(-2, 102))
        canvas.text(LEFT + (WIDTH - LEFT - 14) / 2, above + HIGH - 16, "kept facts right, %", ha="center")
    return canvas


SPEC = FigureSpec(
    name="budgets",
    title="What is learned against what is kept",
    note="Each point is a training with another budget, that is, the learning rate times the epochs; lines join "
    "the trainings of a method. A method is better where its line lies further to the upper right. Questions are in "
    "wordings that no run trains on, if there are some.",
    tables=("budgets",),
    draw=draw,
    own=Own(settings, files, numbers),
)
