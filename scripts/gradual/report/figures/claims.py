"""The paper's claims and what this study found of each: a forest plot."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.report.canvas import (
    BLUE,
    GREEN,
    GREEN_TEXT,
    GREY,
    LARGE,
    LIGHT,
    ORANGE,
    VERMILLION_TEXT,
    WHITE,
    WIDTH,
    Canvas,
    legend_height,
    text_width,
    tidy,
    wrapped,
)
from gradual.report.dots import LANE, LINE, OURS, Dot, by_model, mark, taken, with_paper
from gradual.report.spec import FigureSpec
from gradual.tables.verdicts import NOT, SHOWS

EDGE, HEAD = 8, 38  # the room at the sides, and the height of a model's heading with the numbers of the axis
LOOKS = {"effect": (BLUE, "o"), "control": (ORANGE, "s"), "net": (GREEN, "D")}
WORDS = {"effect": "effect", "control": "effect of the control", "net": "net of the control"}
TICKS = (-30, -10, -3, -1, 0, 1, 3, 10, 30)
COLUMNS = (
    *("claim", "direction", "margin_points", "paper_points"),
    *(f"{name}_points{end}" for name in LOOKS for end in ("", "_low", "_high")),
    *("control", "verdict", "verdict_against_control"),
)


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The claims, from their table."""
    return taken(read["claims"], ("label", *COLUMNS))


def stage_numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The claims about stages, from their table; each says of which stage it is, once."""
    frame = read["stage_claims"]
    told = zip(frame["claim"], (f"stage {stage}" for stage in frame["stage"]), strict=True)
    claims = [claim if stage in claim else f"{claim} ({stage})" for claim, stage in told]
    return taken(frame.assign(claim=[f"{claim[:1].upper()}{claim[1:]}" for claim in claims]), ("label", *COLUMNS))


def draw(shown: pd.DataFrame) -> Canvas:
    """A row per claim: its words, its verdicts, and a lane each for the effect, the control and what is net of it."""
    entries = [(WORDS[name], OURS | {"color": colour, "marker": marker}) for name, (colour, marker) in LOOKS.items()]
    entries = [entry for name, entry in zip(LOOKS, entries, strict=True) if shown[f"{name}_points"].notna().any()]
    entries = with_paper(entries, _papers(shown), "the paper's effect")
    entries.append(("too small to matter", {"color": LIGHT, "linewidth": 7}))
    top = legend_height(entries) + 4
    rows = [(label, row) for label, of_model in by_model(shown) for _, row in of_model.iterrows()]
    heights = [LINE * (len(_lines(row)) + 1) + LANE * len(_lanes(row)) + 12 for _, row in rows]
    labels = list(dict.fromkeys(label for label, _ in rows))
    inside = sum(heights) + HEAD * len(labels)
    canvas = Canvas(top + inside + 36)
    canvas.legend(2, entries)
    axes = canvas.axes(EDGE, top, WIDTH - 2 * EDGE, inside)
    axes.set_ylim(inside, 0)
    _scale(axes, shown)
    tidy(axes)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("points; beyond one point the axis is logarithmic")
    y, before = 0.0, ""
    for (label, row), height in zip(rows, heights, strict=True):
        if label != before:
            axes.axhspan(y, y + HEAD, color=WHITE, linewidth=0, zorder=1.5)
            canvas.text(EDGE, top + y + 14, label, weight="bold", size=LARGE)
            for tick, said in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
                axes.text(tick, y + HEAD - 8, said.get_text(), ha="center", va="center_baseline")
            y, before = y + HEAD, label
        _claim(canvas, axes, row, top, y)
        y += height
    return canvas


def _lines(row: pd.Series) -> list[str]:
    return wrapped(str(row["claim"]), WIDTH - 2 * EDGE)


def _lanes(row: pd.Series) -> list[str]:
    return [name for name in LOOKS if row[f"{name}_points"] == row[f"{name}_points"]] or ["effect"]


def _claim(canvas: Canvas, axes: Any, row: pd.Series, top: float, y: float) -> None:
    words = LINE * (len(_lines(row)) + 1) + 6
    axes.axhspan(y, y + words, color=WHITE, linewidth=0, zorder=1.5)  # no line runs through words
    axes.axhspan(y + 1, y + 2, color=LIGHT, linewidth=0, zorder=1.6)
    for line in _lines(row):
        y += LINE
        canvas.text(EDGE, top + y, line)
    y += LINE
    left: float = EDGE
    for before, verdict in (("", row["verdict"]), ("net: ", row["verdict_against_control"])):
        if isinstance(verdict, str) and verdict:
            colour = {SHOWS: GREEN_TEXT, NOT: VERMILLION_TEXT}.get(verdict, GREY)
            canvas.text(left, top + y, f"{before}{verdict}", color=colour, weight="bold")
            left += 1.12 * text_width(f"{before}{verdict}") + 14  # bold words are wider
    canvas.text(WIDTH - EDGE, top + y, _said(row), ha="right")
    y += 8
    lanes = _lanes(row)
    margin = row["margin_points"]
    axes.fill_betweenx([y, y + LANE * len(lanes)], -margin, margin, color=LIGHT, linewidth=0, zorder=2)
    axes.plot([0, 0], [y, y + LANE * len(lanes)], color=GREY, linewidth=1, zorder=2.5)
    for number, name in enumerate(lanes):
        value, low, high = (row[f"{name}_points{end}"] for end in ("", "_low", "_high"))
        paper = row["paper_points"] if name == "effect" else float("nan")
        mark(axes, Dot("", value, low, high, paper, *LOOKS[name]), y + LANE * (number + 0.5))


def _said(row: pd.Series) -> str:
    """The effect with its interval, in points."""
    value, low, high = (row[f"effect_points{end}"] for end in ("", "_low", "_high"))
    if value != value:
        return ""
    interval = f" [{low:+.1f}, {high:+.1f}]" if low == low and high == high else ""
    return f"{value:+.1f}{interval}".replace("-", "−")


def _papers(shown: pd.DataFrame) -> pd.Series:
    """The paper's effects of the claims that have one here."""
    return shown.loc[shown["effect_points"].notna(), "paper_points"]


def _scale(axes: Any, shown: pd.DataFrame) -> None:
    names = [f"{name}_points{end}" for name in LOOKS for end in ("", "_low", "_high")]
    values = [*shown[names].to_numpy(dtype=float).ravel(), *_papers(shown)]
    found = [value for value in values if value == value]
    found += [sign * margin for margin in shown["margin_points"] for sign in (-1, 1)]
    low, high = min([-1.0, *found]), max([1.0, *found])
    axes.set_xscale("symlog", linthresh=1, linscale=0.7)
    axes.set_xlim(1.25 * low, 1.25 * high)
    axes.set_xticks([tick for tick in TICKS if 1.25 * low <= tick <= 1.25 * high])
    axes.set_xticklabels([f"{tick:+d}".replace("-", "−") if tick else "0" for tick in axes.get_xticks().astype(int)])
    axes.minorticks_off()


NOTE = (
    "A claim is shown if its whole interval lies on the claimed side of zero. It is not shown if the whole interval is "
    "below the smallest effect of interest (the grey band). The control is what could explain the effect as well; the net "
    "effect is what remains beyond it. Rings are the paper's effects, which have no intervals. The numbers are the effect."
)
SPEC = FigureSpec(
    name="claims",
    title="The paper's claims",
    note=f"{NOTE} Of the claim about the graph, the marks are shares of linked facts, and the verdict is on the net one.",
    tables=("claims",),
    numbers=numbers,
    draw=draw,
)
STAGES_SPEC = FigureSpec(
    name="stage_claims",
    title="The paper's claims",
    note=NOTE,
    tables=("stage_claims",),
    numbers=stage_numbers,
    draw=draw,
)
