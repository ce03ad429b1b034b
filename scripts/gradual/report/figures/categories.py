"""How many facts are of each category in each state, beside the paper's."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.knowledge.categories import FULL, HIGHLY, MAYBE, UNKNOWN, WEAKLY, WEAKLY_OR_UNKNOWN
from gradual.report.canvas import (
    BLACK,
    BLUE,
    MEDIUM,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WHITE,
    WIDTH,
    Canvas,
    legend_height,
    text_width,
    tidy,
)
from gradual.report.dots import by_model, taken
from gradual.report.spec import FigureSpec

COLOURS = {HIGHLY: BLUE, MAYBE: SKY, WEAKLY: ORANGE, WEAKLY_OR_UNKNOWN: PURPLE, UNKNOWN: VERMILLION}
NAMES = 108


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The shares of the categories at the origin (Table 2), with both kinds of what is not known."""
    frame = read["table_02"]
    frame = frame[frame["type"].isin(FULL)].assign(stage="Origin")
    return taken(frame, ("label", "stage", "type", "share", "share_low", "share_high", "paper_share", "n"))


def stage_numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The shares of the categories by state (Table 10)."""
    frame = read["table_10"]
    frame = frame[frame["type"].isin(COLOURS)]
    return taken(frame, ("label", "stage", "type", "share", "share_low", "share_high", "paper_share", "n"))


def draw(shown: pd.DataFrame) -> Canvas:
    """A bar per state of ours, and a thinner one of the paper's."""
    entries = [(n, {"color": c, "linewidth": 9}) for n, c in COLOURS.items() if n in set(shown["type"])]
    bars = [
        (label, stage, kind, rows)
        for label, of_model in by_model(shown)
        for stage, rows in of_model.groupby("stage", sort=False)
        for kind in ("share", "paper_share")
        if rows[kind].notna().any()
    ]
    labels = list(dict.fromkeys(label for label, *_ in bars))
    inside = sum(22 if kind == "share" else 16 for *_, kind, _ in bars) + 24 * len(labels)
    top = legend_height(entries) + 4
    canvas = Canvas(top + inside + 40)
    canvas.legend(2, entries)
    axes = canvas.axes(NAMES, top, WIDTH - NAMES - 14, inside)
    axes.set_xlim(0, 100)
    axes.set_ylim(inside, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("train facts, %")
    tidy(axes)
    y, before = 0.0, ""
    for label, stage, kind, rows in bars:
        if label != before:
            canvas.text(8, top + y + 13, label, weight="bold", size=MEDIUM)
            y, before = y + 24, label
        high = 18 if kind == "share" else 12
        canvas.text(8 if kind == "share" else 20, top + y + high / 2, stage if kind == "share" else "the paper's")
        base = 0.0
        for category, share in zip(rows["type"], 100 * rows[kind], strict=True):
            alpha = 1.0 if kind == "share" else 0.6
            axes.fill_betweenx(
                [y, y + high], base, base + share, color=COLOURS[category], alpha=alpha, linewidth=0, zorder=3
            )
            said = f"{share:.0f}"
            if text_width(said) + 4 < share / 100 * (WIDTH - NAMES - 14):
                dark = COLOURS[category] in (BLUE, VERMILLION) and kind == "share"
                colour = WHITE if dark else BLACK
                axes.text(
                    base + share / 2, y + high / 2, said, color=colour, ha="center", va="center_baseline", zorder=4
                )
            base += share
        y += high + 4
    return canvas


SPEC = FigureSpec(
    name="categories",
    title="Categories at the origin",
    note="The train facts by how well the untouched model knows them.",
    tables=("table_02",),
    numbers=numbers,
    draw=draw,
)
STAGES_SPEC = FigureSpec(
    name="categories_by_state",
    title="Categories by state",
    note="The train facts by how well each state knows them. WeaklyKnown and Unknown are one class, because they differ "
    "only in drawn answers, and later states draw none.",
    tables=("table_10",),
    numbers=stage_numbers,
    draw=draw,
)
