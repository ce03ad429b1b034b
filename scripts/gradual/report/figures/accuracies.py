"""Test accuracy and its gains: by stage, by strategy, by strategy and category, of the controls, and by guessing."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.report.canvas import BLUE, GREY, ORANGE, Canvas
from gradual.report.dots import OURS, Dot, by_model, chart, taken, with_paper
from gradual.report.spec import FigureSpec

NAMED = ("label", "name")
CONTROL: dict[str, Any] = OURS | {"color": ORANGE, "marker": "s"}
ENTRIES = (("ours, with its 95% interval", OURS),)
PERCENT, POINTS = "right answers on test, %", "gain, points"


def _rows(frame: pd.DataFrame, value: str, paper: str) -> list[Dot]:
    return [
        Dot(row["name"], row[value], row[f"{value}_low"], row[f"{value}_high"], row[paper], *_look(row["name"]))
        for _, row in frame.iterrows()
    ]


def _look(name: str) -> tuple[str, str]:
    """The colour and the mark of a row: controls are not mistaken for what the paper proposes."""
    return (
        (ORANGE, "s") if name.startswith("Control of ") else (GREY, "o") if name == "Majority answer" else (BLUE, "o")
    )


def _control(shown: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """The entry of the legend for controls, if there is one among the rows."""
    return [("a control", CONTROL)] if shown["name"].str.startswith("Control of ").any() else []


def stages(read: Mapping[str, Any]) -> pd.DataFrame:
    """The accuracy of each stage and of its first control, from Table 7."""
    columns = (*NAMED, "percent", "percent_low", "percent_high", "paper_percent", "n", "epoch")
    return taken(read["table_07"], columns)


def draw_stages(shown: pd.DataFrame) -> Canvas:
    groups = [(label, _rows(rows, "percent", "paper_percent")) for label, rows in by_model(shown)]
    return chart(groups, PERCENT, entries=with_paper([*ENTRIES, *_control(shown)], shown["paper_percent"]))


def strategies(read: Mapping[str, Any]) -> pd.DataFrame:
    """What each strategy gains over stage 1, from Table 8."""
    frame = taken(
        read["table_08"], (*NAMED, "gain_points", "gain_points_low", "gain_points_high", "paper_gain_points", "percent")
    )
    return frame[frame["gain_points"].notna()]


def draw_strategies(shown: pd.DataFrame) -> Canvas:
    groups = [(label, _rows(rows, "gain_points", "paper_gain_points")) for label, rows in by_model(shown)]
    return chart(
        groups, "gain over stage 1, points", zero=True, entries=with_paper(ENTRIES, shown["paper_gain_points"])
    )


def by_category(read: Mapping[str, Any]) -> pd.DataFrame:
    """What each strategy gains on test facts of each category, from Table 9."""
    columns = (*NAMED, "type", "gain_points", "gain_points_low", "gain_points_high", "paper_gain_points", "n")
    frame = taken(read["table_09"], columns)
    return frame[frame["gain_points"].notna()]


def draw_by_category(shown: pd.DataFrame) -> Canvas:
    several = shown["label"].nunique() > 1
    groups = [
        (f"{label}, {kind}" if several else f"{kind} at the origin", _rows(rows, "gain_points", "paper_gain_points"))
        for label, of_model in by_model(shown)
        for kind, rows in of_model.groupby("type", sort=False)
    ]
    return chart(
        groups, "gain over stage 1, points", zero=True, entries=with_paper(ENTRIES, shown["paper_gain_points"])
    )


def controls(read: Mapping[str, Any]) -> pd.DataFrame:
    """What each stage and each control gains over the state that it starts from, from the table of controls."""
    frame = read["controls"]
    gains = ("gain_points", "gain_points_low", "gain_points_high")
    over = [f"stage_over_control_points{end}" for end in ("", "_low", "_high")]
    shown = taken(frame, ("label", "stage", "name", *gains, *over)).rename(columns={"stage": "type"})
    control = shown["stage_over_control_points"].notna()
    return shown.assign(name=shown["name"].where(control, "the stage itself"))


def draw_controls(shown: pd.DataFrame) -> Canvas:
    control = shown["stage_over_control_points"].notna()
    groups = []
    for (label, stage), rows in shown.groupby(["label", "type"], sort=False):
        dots = [
            Dot(row["name"], row["gain_points"], row["gain_points_low"], row["gain_points_high"], float("nan"), *look)
            for (_, row), look in zip(
                rows.iterrows(), [(ORANGE, "s") if c else (BLUE, "o") for c in control[rows.index]], strict=True
            )
        ]
        groups.append((f"{label}: {stage}", dots))
    return chart(groups, POINTS, zero=True, entries=[("the stage", OURS), ("a control", CONTROL)])


def guessing(read: Mapping[str, Any]) -> pd.DataFrame:
    """What each state gains on test facts with frequent answers, and on those with rare ones, from the table guessing."""
    groups = []
    for group in ("frequent", "rare"):
        ends = {f"{group}_gain_points{end}": f"gain_points{end}" for end in ("", "_low", "_high")}
        frame = taken(read["guessing"], (*NAMED, f"{group}_n", *ends)).rename(columns={f"{group}_n": "n", **ends})
        groups.append(frame[frame["gain_points"].notna()].assign(type=group))
    return pd.concat(groups)


def draw_guessing(shown: pd.DataFrame) -> Canvas:
    several = shown["label"].nunique() > 1
    shown = shown.assign(paper=math.nan)
    groups = [
        (f"{label}: {kind} answers" if several else f"{kind} answers".capitalize(), _rows(rows, "gain_points", "paper"))
        for label, of_model in by_model(shown)
        for kind, rows in of_model.groupby("type", sort=False)
    ]
    return chart(groups, POINTS, zero=True, entries=[("a stage", OURS), *_control(shown)])


STAGES_SPEC = FigureSpec(
    name="accuracy",
    title="Accuracy by stage",
    note="The share of right answers to test questions, at the epoch that each run chose. A control trains as its stage "
    "does, on other facts. The majority answer is the most frequent train answer of each relation, given without a model.",
    tables=("table_07",),
    numbers=stages,
    draw=draw_stages,
)
STRATEGIES_SPEC = FigureSpec(
    name="strategies",
    title="Strategies of stage 2",
    note="What stage 2 gains on test over stage 1, by what it trains on. A strategy whose interval holds zero changes "
    "nothing that this study can see. The paper's values are maxima over epochs.",
    tables=("table_08",),
    numbers=strategies,
    draw=draw_strategies,
)
BY_CATEGORY_SPEC = FigureSpec(
    name="strategies_by_category",
    title="Strategies by category",
    note="The same gains on the test facts of each category, as the untouched model knew them.",
    tables=("table_09",),
    numbers=by_category,
    draw=draw_by_category,
)
CONTROLS_SPEC = FigureSpec(
    name="controls",
    title="Stages and their controls",
    note="What a stage gains on test over the state that it starts from, and what its controls gain from there. A control "
    "differs from its stage in one thing. A stage is only worth its name by what it gains beyond them.",
    tables=("controls",),
    numbers=controls,
    draw=draw_controls,
)
GUESSING_SPEC = FigureSpec(
    name="guessing",
    title="Knowledge or guessing?",
    note="What each state gains on test over the state that it starts from: on facts whose gold answer is frequent in its "
    "relation, and on facts whose gold answer is rare. Nobody who says only frequent answers has a rare one right.",
    tables=("guessing",),
    numbers=guessing,
    draw=draw_guessing,
)
