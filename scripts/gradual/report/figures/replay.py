"""What replay changes: the gain of stage 2 by the share of facts that each epoch replays."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.report.canvas import Canvas
from gradual.report.dots import OURS, Dot, by_model, chart, taken, with_paper
from gradual.report.spec import FigureSpec


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The gains over stage 1 by ratio, from the table of replay."""
    gains = ("gain_points", "gain_points_low", "gain_points_high")
    return taken(read["replay"], ("label", "name", "ratio", *gains, "paper_gain_points", "percent"))


def draw(shown: pd.DataFrame) -> Canvas:
    """A row per ratio."""
    groups = []
    for label, rows in by_model(shown):
        dots = [
            Dot(f"{100 * row['ratio']:.0f}% replayed" if row["ratio"] else "no replay", *gains)
            for _, row in rows.sort_values("ratio").iterrows()
            for gains in [row[["gain_points", "gain_points_low", "gain_points_high", "paper_gain_points"]]]
        ]
        groups.append((label, dots))
    entries = with_paper([("ours, with its 95% interval", OURS)], shown["paper_gain_points"])
    return chart(groups, "gain over stage 1, points", zero=True, entries=entries)


SPEC = FigureSpec(
    name="replay",
    title="Replay",
    note="What stage 2 gains on test over stage 1, by the share of HighlyKnown facts that each epoch replays.",
    tables=("replay",),
    numbers=numbers,
    draw=draw,
)
