"""A chart that several figures share: rows of a name, dots with their intervals, and the paper's value as an open mark."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
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
    Entry,
    legend_height,
    spread,
    tidy,
    whole_steps,
    wrapped,
)

NAMES = 122  # the width of the names
LINE, LANE = 13, 9  # the heights of a line of text, and of a lane of marks


class Dot(NamedTuple):
    """The name of a row, a value with the ends of its interval, and the paper's value; NaN where there is none."""

    name: str
    value: float
    low: float
    high: float
    paper: float = float("nan")
    colour: str = BLUE
    marker: str = "o"


PAPER: dict[str, Any] = {"marker": "o", "markersize": 7.5, "mfc": "none", "mec": BLACK, "mew": 1.1, "linestyle": "none"}
OURS: dict[str, Any] = {"marker": "o", "markersize": 5.5, "color": BLUE, "linewidth": 1.6}


def chart(
    groups: Sequence[tuple[str, Sequence[Dot]]],
    axis: str,
    zero: bool = False,
    entries: Sequence[Entry] = (),
) -> Canvas:
    """The rows of some groups under their headings, on one axis; with `zero`, a line marks where nothing changes.

    Dots that follow each other under one name are in one row, each in a lane of its own.
    """
    rows_of = [[[*dots] for _, dots in groupby(group, lambda dot: dot.name)] for _, group in groups]
    heights = [
        [max(17.0, LINE * len(_words(dots)) + 5, LANE * len(dots) + 8) for dots in in_group] for in_group in rows_of
    ]
    inside = sum(22 + sum(each) for each in heights)
    top = legend_height(entries) + 2
    canvas = Canvas(top + inside + 42)
    canvas.legend(2, entries)
    axes = canvas.axes(NAMES + 10, top, WIDTH - NAMES - 22, inside)
    axes.set_ylim(inside, 0)
    values = [v for _, group in groups for dot in group for v in (dot.value, dot.low, dot.high, dot.paper)]
    axes.set_xlim(*spread([*values, 0.0] if zero else values))
    tidy(axes)
    whole_steps(axes)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(axis)
    if zero:
        axes.axvline(0, color=GREY, linewidth=1)
    y = 0.0
    for (heading, _), rows, each in zip(groups, rows_of, heights, strict=True):
        axes.axhspan(y, y + 22, color=WHITE, linewidth=0, zorder=2.2)  # no line runs through a heading
        canvas.text(8, top + y + 12, heading, weight="bold", size=MEDIUM)
        y += 22
        for dots, height in zip(rows, each, strict=True):
            for number, line in enumerate(lines := _words(dots)):
                canvas.text(8, top + y + height / 2 + (number - (len(lines) - 1) / 2) * LINE, line)
            for number, dot in enumerate(dots):
                mark(axes, dot, y + height / 2 + (number - (len(dots) - 1) / 2) * LANE)
            y += height
    return canvas


def _words(dots: Sequence[Dot]) -> list[str]:
    """The lines of a row's name."""
    return wrapped(readable(dots[0].name), NAMES)


def with_paper(entries: Sequence[Entry], papers: Iterable[float], words: str = "the paper's value") -> list[Entry]:
    """A legend, with the open mark if the paper has any of these values."""
    return [*entries, *([(words, PAPER)] if any(paper == paper for paper in papers) else [])]


def mark(axes: Any, dot: Dot, y: float) -> None:
    """Draw an interval and its dot, and the paper's value as a ring above both."""
    if dot.low == dot.low and dot.high == dot.high:
        axes.plot([dot.low, dot.high], [y, y], color=dot.colour, linewidth=1.6, zorder=4, solid_capstyle="butt")
    if dot.value == dot.value:
        axes.plot([dot.value], [y], marker=dot.marker, markersize=5.5, color=dot.colour, zorder=5, linestyle="none")
    if dot.paper == dot.paper:
        axes.plot([dot.paper], [y], zorder=6, **PAPER)


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
