"""What each method has learned and kept after one stage: where variants that run for one stage alone are compared."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.report.canvas import BLUE, ORANGE, Canvas, Entry
from gradual.report.dots import OURS, Dot, by_model, chart, taken, with_paper
from gradual.report.spec import FigureSpec
from gradual.tables.multi_stage.roles import of_methods

LOOKS = {"new": ("new answers", BLUE, "o"), "kept": ("kept facts", ORANGE, "s")}


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The accuracies of all methods on new answers and on kept facts, after each stage that is a method's only one.

    Where every method has several stages, these are of the last one. The wordings are those that decide.
    """
    stages, retention = of_methods(read["stages"]), of_methods(read["retention"])
    decides = "unseen" if (retention["wording"] == "unseen").any() else "trained"
    ends = ("", "_low", "_high")
    learned = taken(
        stages, ("label", "method", "stage", *(f"{decides}_acc_percent{end}" for end in ends), "paper_acc")
    ).rename(columns={f"{decides}_acc_percent{end}": f"new_percent{end}" for end in ends})
    kept = taken(
        retention[retention["wording"] == decides], ("label", "method", "stage", *(f"kept_percent{e}" for e in ends))
    )
    shown = learned.merge(kept, how="left", on=["label", "method", "stage"])
    own = shown.groupby(["label", "method"])["stage"].transform("nunique")
    single = set(shown.loc[own == 1, "stage"]) or {shown["stage"].max()}
    return shown[shown["stage"].isin(single)].sort_values("stage", kind="stable")


def draw(shown: pd.DataFrame) -> Canvas:
    """A row per method, with a lane for what is new and one for what is kept."""
    entries: list[Entry] = [
        (words, OURS | {"color": colour, "marker": marker}) for words, colour, marker in LOOKS.values()
    ]
    groups = []
    for label, of_model in by_model(shown):
        for stage, rows in of_model.groupby("stage", sort=True):
            dots = [_dot(row, name) for _, row in rows.iterrows() for name in LOOKS]
            groups.append((f"{label}, after stage {stage}", dots))
    return chart(groups, "right answers, %", entries=with_paper(entries, shown["paper_acc"]))


def _dot(row: pd.Series, name: str) -> Dot:
    """What a method has right of the new answers, beside the paper's, or of the kept facts."""
    value, low, high = (row[f"{name}_percent{end}"] for end in ("", "_low", "_high"))
    _, colour, marker = LOOKS[name]
    return Dot(row["method"], value, low, high, row["paper_acc"] if name == "new" else float("nan"), colour, marker)


SPEC = FigureSpec(
    name="methods",
    title="Methods after one stage",
    note="What each method has right after a stage: of the answers that the stage teaches, and of the kept facts, which an "
    "earlier stage taught and this one does not. Lines are 95% intervals. Questions are in wordings that no run trains on, "
    "if there are some.",
    tables=("stages", "retention"),
    numbers=numbers,
    draw=draw,
)
