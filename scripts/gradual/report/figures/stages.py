"""What each method learns at each stage, and what it retains."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradual.report.canvas import BLUE, GREY, ORANGE, WHITE, Canvas
from gradual.report.dots import by_model, taken
from gradual.report.panels import Panels
from gradual.report.spec import FigureSpec
from gradual.tables.multi_stage.roles import EVERY, of_methods

LEARNED = {
    "unseen_acc_percent": ("unseen wordings", BLUE, "-"),
    "trained_acc_percent": ("trained wordings", ORANGE, "--"),
}
RETAINED = {"kept_percent": ("kept facts", BLUE, "-"), "unrelated_percent": ("unrelated facts", ORANGE, "--")}


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The accuracies of each method on the facts of the stage, from the table of stages."""
    named = [f"{name}{end}" for name in LEARNED for end in ("", "_low", "_high")]
    return taken(read["stages"], ("label", "method", "stage", *named, "paper_acc"))


def retention(read: Mapping[str, Any]) -> pd.DataFrame:
    """What is still right of kept and of unrelated facts, from the table of retention, in the wordings that decide."""
    frame = read["retention"]
    decides = "unseen" if (frame["wording"] == "unseen").any() else "trained"
    named = [f"{name}{end}" for name in RETAINED for end in ("", "_low", "_high")]
    return taken(frame[frame["wording"] == decides], ("label", "method", "wording", "stage", *named))


def draw(shown: pd.DataFrame) -> Canvas:
    return _lines(shown, LEARNED, "right answers to what the stage teaches, %", True)


def draw_retention(shown: pd.DataFrame) -> Canvas:
    return _lines(shown, RETAINED, "right answers to what the stage does not teach, %", False)


def _lines(shown: pd.DataFrame, lines: Mapping[str, tuple[str, str, str]], ylabel: str, paper: bool) -> Canvas:
    """A panel per method of several stages, or per method where there is none; the common first stage begins each."""
    paper = paper and shown["paper_acc"].notna().any()
    entries: list[tuple[str, dict[str, Any]]] = [
        (words, {"color": colour, "linestyle": line, "marker": "o", "markersize": 4})
        for words, colour, line in lines.values()
    ]
    mark = {"marker": "o", "markersize": 6, "mfc": WHITE, "mec": GREY, "linestyle": "none"}
    entries += [("the paper's", mark)] if paper else []
    models = [(label, rows, _methods(rows)) for label, rows in by_model(shown)]
    panels = Panels([(label, methods) for label, _, methods in models], "stage", ylabel, entries)
    for (_, rows, methods), of_model in zip(models, panels.axes, strict=True):
        first = rows[rows["method"] == EVERY]
        for method, axes in zip(methods, of_model, strict=True):
            of = pd.concat([first, rows[rows["method"] == method]]).sort_values("stage")
            for name, (_, colour, line) in lines.items():
                known = of[of[name].notna()]
                axes.fill_between(
                    known["stage"], known[f"{name}_low"], known[f"{name}_high"], color=colour, alpha=0.2, linewidth=0
                )
                axes.plot(
                    known["stage"], known[name], color=colour, linestyle=line, marker="o", markersize=3.5, linewidth=1.5
                )
            if paper:
                axes.plot(of["stage"], of["paper_acc"], **mark)
            axes.xaxis.get_major_locator().set_params(integer=True)
    stages = shown["stage"]
    panels.limit((stages.min() - 0.3, stages.max() + 0.3), (-3, 103))
    return panels.canvas


def _methods(rows: pd.DataFrame) -> Sequence[str]:
    stages = of_methods(rows).groupby("method", sort=False)["stage"].nunique()
    return [*(stages[stages > 1] if (stages > 1).any() else stages).index]


SPEC = FigureSpec(
    name="stages",
    title="Stages by method",
    note="Right answers to questions about the facts that each stage teaches, by what is valid after the stage. Bands are "
    "95% intervals. All methods share the first stage. Methods of one stage alone have a figure of their own.",
    tables=("stages",),
    numbers=numbers,
    draw=draw,
)
RETENTION_SPEC = FigureSpec(
    name="retention",
    title="What is retained",
    note="Right answers about kept facts, which an earlier stage taught and this one does not, and about unrelated facts, "
    "which no stage teaches. Bands are 95% intervals. Questions are in wordings that no run trains on, if there are some.",
    tables=("retention",),
    numbers=retention,
    draw=draw_retention,
)
