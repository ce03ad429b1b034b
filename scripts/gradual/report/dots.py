"""A chart that several figures share: rows of a name, a dot with its interval, and the paper's value as an open mark."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from gradual.report.canvas import (
    BLACK,
    BLUE,
    GREY,
    MEDIUM,
    WHITE,
    WIDTH,
    Canvas,
    legend_height,
    spread,
    tidy,
    whole_steps,
    wrapped,
)

NAMES = 122  # the width of the names
LINE = 13  # the height of a line of text


class Dot(NamedTuple):
    """A row: its name, a value with the ends of its interval, and the paper's value; NaN where there is none."""

    name: str
    value: float
    low: float
    high: float
    paper: float = float("nan")
    colour: str = BLUE
    marker: str = "o"


PAPER: dict[str, Any] = {"marker": "o", "markersize": 7, "mfc": WHITE, "mec": BLACK, "mew": 1.2, "linestyle": "none"}
OURS: dict[str, Any] = {"marker": "o", "markersize": 5.5, "color": BLUE, "linewidth": 1.6}


def chart(
    groups: Sequence[tuple[str, Sequence[Dot]]],
    axis: str,
    zero: bool = False,
    entries: Sequence[tuple[str, dict[str, Any]]] = (),
) -> Canvas:
    """The rows of some groups under their headings, on one axis; with `zero`, a line marks where nothing changes."""
    heights = [[max(17.0, LINE * len(wrapped(readable(row.name), NAMES)) + 5) for row in rows] for _, rows in groups]
    inside = sum(22 + sum(each) for each in heights)
    top = legend_height(entries) + 2
    canvas = Canvas(top + inside + 42)
    canvas.legend(2, entries)
    axes = canvas.axes(NAMES + 10, top, WIDTH - NAMES - 22, inside)
    axes.set_ylim(inside, 0)
    values = [v for _, rows in groups for row in rows for v in (row.value, row.low, row.high, row.paper)]
    axes.set_xlim(*spread([*values, 0.0] if zero else values))
    tidy(axes)
    whole_steps(axes)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(axis)
    if zero:
        axes.axvline(0, color=GREY, linewidth=1)
    y = 0.0
    for (heading, rows), each in zip(groups, heights, strict=True):
        axes.axhspan(y, y + 22, color=WHITE, linewidth=0, zorder=2.2)  # no line runs through a heading
        canvas.text(8, top + y + 12, heading, weight="bold", size=MEDIUM)
        y += 22
        for row, height in zip(rows, each, strict=True):
            lines = wrapped(readable(row.name), NAMES)
            for number, line in enumerate(lines):
                offset = (number - (len(lines) - 1) / 2) * LINE
                canvas.text(8, top + y + height / 2 + offset, line)
            mark(axes, row, y + height / 2)
            y += height
    return canvas


def mark(axes: Any, row: Dot, y: float) -> None:
    """Draw a row's paper value, interval and dot, the dot above all."""
    if row.paper == row.paper:
        axes.plot([row.paper], [y], zorder=3, **PAPER)
    if row.low == row.low and row.high == row.high:
        axes.plot([row.low, row.high], [y, y], color=row.colour, linewidth=1.6, zorder=4, solid_capstyle="butt")
    if row.value == row.value:
        axes.plot([row.value], [y], marker=row.marker, markersize=5.5, color=row.colour, zorder=5, linestyle="none")


def by_model(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each model, by its label."""
    for label, rows in frame.groupby("label", sort=False):
        yield str(label), rows


def readable(name: str) -> str:
    """A name for readers: that of a run without a label is its key, such as drawn_answers."""
    return name.replace("_", " ")


def taken(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Some columns of a table; one that the table lacks is empty."""
    return frame.reindex(columns=[*columns])
