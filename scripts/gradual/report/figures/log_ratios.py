"""How preference training moves what the model says: the log-ratios of targets, aligned and conflicting answers by step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.report.canvas import BLUE, GREEN, GREY, VERMILLION, Canvas, spread
from gradual.report.dots import by_model
from gradual.report.panels import Panels
from gradual.report.reading import read_table
from gradual.report.spec import FigureSpec, Needs, Own
from gradual.study.result_files import GROUP_GRADES, LOSS, Result, path_of
from gradual.study.runs import ORIGIN, runs

LINES = {
    "target_log_ratio": ("target", BLUE, "-"),
    "aligned_log_ratio": ("aligned answers", GREEN, "--"),
    "conflicting_log_ratio": ("conflicting answers", VERMILLION, "-."),
}
POINTS = 60  # of a line at most


def settings(config: Mapping[str, Any], needs: Needs) -> dict[str, Any]:
    """The runs with preference of each model whose answers a table needs."""
    table, models = runs(dict(config)), []
    for key, model in config["models"].items():
        asked = {need.state for need in needs.get(key, ()) if need.kind == GROUP_GRADES} - {ORIGIN}
        names = [(name, run.label) for name, run in table.items() if name in asked and run.preference]
        if names:
            models.append({"key": key, "label": model["label"], "runs": names})
    return {"seeds": list(config["seeds"]), "models": models} if models else {}


def files(told: Mapping[str, Any]) -> list[str]:
    """The loss of these runs."""
    return [
        path_of(Result(LOSS, run), seed, model["key"])
        for seed in told["seeds"]
        for model in told["models"]
        for run, _ in model["runs"]
    ]


def numbers(root: Path, told: Mapping[str, Any]) -> pd.DataFrame:
    """A row per model, run and group of steps; the log-ratios are means over its steps and the seeds."""
    parts = []
    for model in told["models"]:
        for run, name in model["runs"]:
            read = [read_table(root / path_of(Result(LOSS, run), seed, model["key"])) for seed in told["seeds"]]
            found = pd.concat(read).reindex(columns=["step", *LINES])
            width = -(-int(found["step"].max()) // POINTS)
            by = found.groupby((found["step"] - 1) // width)[list(LINES)].mean()
            by.insert(0, "step", [width * group + (width + 1) / 2 for group in by.index])
            parts.append(by.assign(label=model["label"], name=name))
    return pd.concat(parts)[["label", "name", "step", *LINES]]


def draw(shown: pd.DataFrame) -> Canvas:
    """A panel per run."""
    groups = [(label, list(dict.fromkeys(rows["name"]))) for label, rows in by_model(shown)]
    entries = [(words, {"color": colour, "linestyle": line}) for words, colour, line in LINES.values()]
    panels = Panels(groups, "step", "log-ratio to the model before the run, per token", entries)
    for (label, names), of_model in zip(groups, panels.axes, strict=True):
        for name, axes in zip(names, of_model, strict=True):
            rows = shown[(shown["label"] == label) & (shown["name"] == name)]
            axes.axhline(0, color=GREY, linewidth=0.8)
            for column, (_, colour, line) in LINES.items():
                axes.plot(rows["step"], rows[column], color=colour, linestyle=line, linewidth=1.5)
            axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    panels.limit((0, float(shown["step"].max())), spread(shown[list(LINES)].to_numpy(dtype=float).ravel()))
    return panels.canvas


SPEC = FigureSpec(
    name="log_ratios",
    title="Log-ratios by step",
    note="Above zero, the run makes answers more likely than the model did that it starts from; below zero, less likely. "
    "The target is the answer that the stage teaches. Aligned and conflicting answers were drawn from the model before.",
    draw=draw,
    own=Own(settings, files, numbers),
)
