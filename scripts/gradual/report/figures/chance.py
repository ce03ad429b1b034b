"""What is found WeaklyKnown in each relation, and how much of it guessing alone would find."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.report.canvas import (
    BLUE,
    GREY,
    LIGHT,
    MEDIUM,
    WHITE,
    WIDTH,
    Canvas,
    legend_height,
    shortened,
    tidy,
)
from gradual.report.dots import OURS, by_model, taken
from gradual.report.spec import FigureSpec

NAMES, ROW = 112, 15
GUESSED: dict[str, Any] = {"marker": "o", "markersize": 6, "mfc": WHITE, "mec": GREY, "mew": 1.5, "linestyle": "none"}


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The shares of each relation, from the table of chance."""
    return taken(read["chance"], ("label", "relation", "facts", "share", "chance"))


def draw(shown: pd.DataFrame) -> Canvas:
    """A row per relation, from what chance finds to what was found."""
    entries = [("found", OURS | {"linestyle": "none"}), ("expected by chance", GUESSED)]
    top = legend_height(entries) + 4
    models = list(by_model(shown))
    inside = sum(24 + ROW * len(rows) for _, rows in models)
    canvas = Canvas(top + inside + 40)
    canvas.legend(2, entries)
    axes = canvas.axes(NAMES + 10, top, WIDTH - NAMES - 24, inside)
    axes.set_xlim(-3, 103)
    axes.set_ylim(inside, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("WeaklyKnown, %")
    tidy(axes)
    y = 0.0
    for label, rows in models:
        canvas.text(8, top + y + 13, label, weight="bold", size=MEDIUM)
        y += 24
        for _, row in rows.iterrows():
            share, chance = 100 * row["share"], 100 * row["chance"]
            middle = y + ROW / 2
            canvas.text(8, top + middle, shortened(str(row["relation"]).replace("_", " "), NAMES))
            axes.plot([chance, share], [middle, middle], color=LIGHT, linewidth=2.5, zorder=2)
            axes.plot([chance], [middle], zorder=3, **GUESSED)
            axes.plot([share], [middle], marker="o", markersize=5.5, color=BLUE, zorder=4, linestyle="none")
            y += ROW
    return canvas


SPEC = FigureSpec(
    name="chance",
    title="Found and expected by chance",
    note="Of the facts without a right greedy answer, those are WeaklyKnown that have a right drawn answer. Draws hit a "
    "right answer also by guessing among the answers of the relation. Where both marks lie together, what seems known "
    "weakly is guessed.",
    tables=("chance",),
    numbers=numbers,
    draw=draw,
)
