"""Where facts move: their categories at the origin, after stage 1 and after stage 2, beside those of a second probe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradual.ground.files import read_parquet
from gradual.knowledge.categories import GREEDY_ONLY, HIGHLY
from gradual.report.canvas import MEDIUM, WHITE, WIDTH, Canvas, legend_height, shortened
from gradual.report.dots import by_model
from gradual.report.figures.categories import COLOURS
from gradual.report.spec import FigureSpec, Needs, Own
from gradual.study.result_files import CATEGORIES, Result, path_of
from gradual.study.runs import ORIGIN
from gradual.tables.gradual_learning.roles import study_of
from gradual.tables.reading import collapse

STAGES, AGAIN = "stages", "asked again"
NODE, HIGH = 30, 200  # the width of a column of categories, and the height of all facts
STEPS = ("before", "between", "after")


def settings(config: Mapping[str, Any], needs: Needs) -> dict[str, Any]:
    """The states of each model whose probes a table needs: those of the stages in order, and whether it is probed again."""
    study, models = study_of(config), []
    for key, model in study.models.items():
        probed = {(need.state, need.probe) for need in needs.get(key, ()) if need[::3] == (CATEGORIES, "train")}
        states = [(name, state) for name, state in study.stages.items() if state and (state, 0) in probed]
        if len(states) > 1 and states[0][1] == ORIGIN:
            again = (ORIGIN, 1) in probed
            models.append({"key": key, "label": model.label, "states": states, "again": again})
    return {"seeds": list(study.seeds), "models": models} if models else {}


def _probes(model: Mapping[str, Any]) -> dict[str, list[tuple[str, Result]]]:
    """The probes of each panel, with their names."""
    found = {STAGES: [(name, Result(CATEGORIES, state)) for name, state in model["states"]]}
    if model["again"]:
        found[AGAIN] = [("Origin", Result(CATEGORIES)), ("Again", Result(CATEGORIES, ORIGIN, 1))]
    return found


def files(told: Mapping[str, Any]) -> list[str]:
    """The categories of all these probes."""
    return list(
        dict.fromkeys(
            path_of(need, seed, model["key"])
            for seed in told["seeds"]
            for model in told["models"]
            for probes in _probes(model).values()
            for _, need in probes
        )
    )


def numbers(root: Path, told: Mapping[str, Any]) -> pd.DataFrame:
    """A row per model, panel and path of facts through the categories; `share` (0..1) is a mean over the seeds."""
    rows: list[dict[str, Any]] = []
    for model in told["models"]:
        for panel, probes in _probes(model).items():
            names = [name for name, _ in probes]
            paths: dict[tuple[str, ...], list[float]] = {}
            for seed in told["seeds"]:
                read = [_categories(root / path_of(need, seed, model["key"])) for _, need in probes]
                joined = pd.concat(read, axis=1, join="inner", keys=range(len(read)))
                for steps, count in joined.value_counts().items():
                    paths.setdefault(steps, []).append(count / len(joined))
            order = {category: place for place, category in enumerate(GREEDY_ONLY)}
            for steps in sorted(paths, key=lambda steps: [order[step] for step in steps]):
                between = dict(zip(STEPS if len(steps) == 3 else STEPS[::2], steps, strict=True))
                share = sum(paths[steps]) / len(told["seeds"])
                rows.append(
                    {"label": model["label"], "panel": panel, "states": ", ".join(names)} | between | {"share": share}
                )
    columns = ["label", "panel", "states", *STEPS, "share"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _categories(file: Path) -> pd.Series:
    """The category of each fact; WeaklyKnown and Unknown are one class, because later probes draw no answers."""
    frame = read_parquet(file, "the categories of a probe", ("fact_id", "category"))
    return collapse(frame.set_index("fact_id")["category"])


def draw(shown: pd.DataFrame) -> Canvas:
    """Two panels per model. A ribbon keeps the colour of the category at the origin."""
    entries = [(name, {"color": COLOURS[name], "linewidth": 9}) for name in GREEDY_ONLY]
    top = legend_height(entries) + 4
    models = list(by_model(shown))
    canvas = Canvas(top + len(models) * (HIGH + 40))
    canvas.legend(2, entries)
    for label, rows in models:
        canvas.text(8, top + 10, shortened(label, 190, MEDIUM), weight="bold", size=MEDIUM)
        panels = dict(list(rows.groupby("panel", sort=False)))
        whole = AGAIN not in panels
        left, width = 8.0, float(WIDTH - 16 if whole else 212)
        for panel, of_panel in panels.items():
            if panel == AGAIN:
                left, width = 242.0, 110.0
                canvas.text(297, top + 10, "without training", ha="center")
            _panel(canvas, of_panel, left, top + 34, width)
        top += HIGH + 40
    return canvas


def _panel(canvas: Canvas, rows: pd.DataFrame, left: float, top: float, width: float) -> None:
    names = rows["states"].iloc[0].split(", ")
    steps = [*STEPS] if len(names) == 3 else [*STEPS[::2]]
    axes = canvas.axes(left, top, width, HIGH - 16, bare=True)
    axes.set_xlim(0, width)
    axes.set_ylim(1.0, 0)
    gap = (width - NODE) / (len(steps) - 1)
    for place, name in enumerate(names):
        shift = {0: ("left", 0), len(names) - 1: ("right", NODE)}.get(place, ("center", NODE / 2))
        canvas.text(left + place * gap + shift[1], top - 9, name, ha=shift[0])
    ends = [_stacked(rows, step, steps[0]) for step in steps]
    for place, (start, stop) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        x = place * gap + NODE, (place + 1) * gap
        for number, row in rows.iterrows():
            _ribbon(axes, x, start[number], stop[number], row["share"], COLOURS[row[steps[0]]])
    for place, step in enumerate(steps):
        base = 0.0
        for category in GREEDY_ONLY:
            colour = COLOURS[category]
            share = float(rows.loc[rows[step] == category, "share"].sum())
            axes.fill_between([place * gap, place * gap + NODE], base, base + share, color=colour, linewidth=0)
            if share > 0.075:
                dark = category == HIGHLY
                axes.text(
                    place * gap + NODE / 2, base + share / 2, f"{100 * share:.0f}%",
                    ha="center", va="center", color=WHITE if dark else "#000000",
                )  # fmt: skip
            base += share


def _stacked(rows: pd.DataFrame, step: str, first: str) -> dict[Any, float]:
    """Where each path lies in a column: by the category there, and within it by the one at the origin."""
    order = {category: place for place, category in enumerate(GREEDY_ONLY)}
    found, base = {}, 0.0
    for number in sorted(rows.index, key=lambda i: (order[rows.at[i, step]], order[rows.at[i, first]], i)):
        found[number] = base
        base += rows.at[number, "share"]
    return found


def _ribbon(axes: Any, x: Sequence[float], start: float, stop: float, share: float, colour: str) -> None:
    t = np.linspace(0, 1, 25)
    bend = t * t * (3 - 2 * t)
    low = start + (stop - start) * bend
    axes.fill_between(x[0] + (x[1] - x[0]) * t, low, low + share, color=colour, alpha=0.45, linewidth=0)


SPEC = FigureSpec(
    name="flows",
    title="Where facts move",
    note="All train facts by how well the model knows them: before training, after stage 1, and after stage 2. Ribbons "
    "have the colour of the category at the origin. On the right, the untouched model is asked a second time, with other "
    "prompts. What moves there moves without any training.",
    tables=("table_03",),
    draw=draw,
    own=Own(settings, files, numbers),
)
