"""The matrix of accuracies as heat maps: each state on the facts of each stage."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gradual.report.canvas import BLACK, BLUE, MEDIUM, WHITE, WIDTH, Canvas, shortened
from gradual.report.dots import by_model, taken
from gradual.report.spec import FigureSpec

CELL, LEFT, HEAD, GAP = 26, 30, 34, 22  # so that two maps of five stages stand side by side
SHARED = ("every method", "none: the origin")


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The cells of the matrix, from its table; the summaries stay there."""
    frame = read["matrix"]
    frame = frame[frame["facts_of"].str.startswith("stage ")]
    return taken(frame, ("label", "method", "stage", "facts_of", "now_percent", "now_percent_low", "now_percent_high"))


def draw(shown: pd.DataFrame) -> Canvas:
    """A heat map per method; the origin and the common first stage are the first rows of each."""
    stages = sorted(shown["facts_of"].unique(), key=lambda name: int(name.split()[1]))
    models = [
        (label, rows, [m for m in dict.fromkeys(rows["method"]) if m not in SHARED]) for label, rows in by_model(shown)
    ]
    cell = min(CELL, (WIDTH - 16 - LEFT) / len(stages))
    wide = LEFT + cell * len(stages)
    columns = max(1, int((WIDTH - 16 + GAP) // (wide + GAP)))
    maps = [(label, rows, method) for label, rows, methods in models for method in methods]
    heights = [HEAD + cell * (1 + int(_matrix(rows, method, stages).index.max())) + 8 for _, rows, method in maps]
    canvas = Canvas(24 + sum(24 + _height(heights, maps, label, columns) for label, _, _ in models))
    canvas.text(8, 10, "rows: after stage (0 is the origin); columns: facts of stage; right, %")
    top = 20.0
    for label, rows, methods in models:
        canvas.text(8, top + 12, label, weight="bold", size=MEDIUM)
        top += 24
        own = [height for height, (other, _, _) in zip(heights, maps, strict=True) if other == label]
        for start in range(0, len(methods), columns):
            for place, method in enumerate(methods[start : start + columns]):
                _heat(canvas, _matrix(rows, method, stages), method, 8 + place * (wide + GAP), top, cell)
            top += max(own[start : start + columns])
    return canvas


def _height(heights: list[float], maps: list[tuple[str, Any, str]], label: str, columns: int) -> float:
    """The height of a model's maps, in rows of so many."""
    own = [height for height, (other, _, _) in zip(heights, maps, strict=True) if other == label]
    return sum(max(own[start : start + columns]) for start in range(0, len(own), columns))


def _matrix(rows: pd.DataFrame, method: str, stages: list[str]) -> pd.DataFrame:
    """The accuracies after each stage (rows) on the facts of each stage (columns)."""
    of = rows[rows["method"].isin([*SHARED, method])]
    return of.pivot_table(index="stage", columns="facts_of", values="now_percent", sort=True)[stages]


def _heat(canvas: Canvas, matrix: pd.DataFrame, method: str, left: float, top: float, cell: float) -> None:
    rows, columns = matrix.shape
    canvas.text(left, top + 8, shortened(method, LEFT + cell * columns))
    axes = canvas.axes(left + LEFT, top + HEAD, cell * columns, cell * rows, bare=True)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    for column, name in enumerate(matrix.columns):
        canvas.text(left + LEFT + cell * (column + 0.5), top + HEAD - 9, str(name).split()[1], ha="center")
    for row, stage in enumerate(matrix.index):
        canvas.text(left + LEFT - 8, top + HEAD + cell * (row + 0.5), str(stage), ha="right")
    there = [(x + 0.5, y + 0.5, value) for (y, x), value in np.ndenumerate(matrix.to_numpy()) if value == value]
    x, y, values = zip(*there, strict=True)
    shades = [mixed(BLUE, value / 100) for value in values]
    # One square that is used many times, which takes less room than as many shapes.
    axes.scatter(x, y, s=cell**2, c=shades, marker="s", edgecolors=WHITE, linewidths=1, clip_on=False)
    for column, line, value in there:
        colour = WHITE if value > 55 else BLACK
        place = left + LEFT + cell * column, top + HEAD + cell * line
        canvas.text(*place, f"{value:.0f}", ha="center", color=colour)


def mixed(colour: str, share: float) -> str:
    """A colour thinned with white: white at 0, the colour itself at 1."""
    full = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return "#" + "".join(f"{round(255 + (value - 255) * min(max(share, 0), 1)):02x}" for value in full)


SPEC = FigureSpec(
    name="matrix",
    title="Every state on the facts of every stage",
    note="Right answers by what is valid after the state's stage. Below the diagonal is what a later stage leaves of an "
    "earlier one's facts.",
    tables=("matrix",),
    numbers=numbers,
    draw=draw,
)
