"""How preference training moves what the model says: the log-ratios of targets, aligned and conflicting answers by step."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.report.canvas import BLUE, GREEN, GREY, VERMILLION, VERMILLION_TEXT, Canvas, spread
from gradual.report.dots import by_model
from gradual.report.panels import Panels
from gradual.report.spec import FigureSpec, Needs, Own
from gradual.study.result_files import GROUP_GRADES, LOSS, Result, path_of
from gradual.study.runs import ORIGIN, runs
from gradual.tables.table_csv import read_table

LINES = {
    "target_log_ratio": ("target", BLUE, "-"),
    "aligned_log_ratio": ("aligned answers", GREEN, "--"),
    "conflicting_log_ratio": ("conflicting answers", VERMILLION, "-."),
}
POINTS = 60  # of a line at most
FAR = 10  # a log-ratio per token so far from zero is of a model that has come apart; it would flatten the other panels


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
    drawn = {
        (label, name): axes
        for (label, names), of_model in zip(groups, panels.axes, strict=True)
        for name, axes in zip(names, of_model, strict=True)
    }
    parts = dict(list(shown.groupby(["label", "name"], sort=False)))
    furthest = {run: float(rows[list(LINES)].abs().max(axis=None)) for run, rows in parts.items()}
    near = [run for run in parts if not furthest[run] > FAR] or [*parts]
    panels.limit((0, float(shown["step"].max())), _limits(parts[run] for run in near))
    for run, axes in drawn.items():
        rows = parts[run]
        axes.axhline(0, color=GREY, linewidth=0.8)
        for column, (_, colour, line) in LINES.items():
            axes.plot(rows["step"], rows[column], color=colour, linestyle=line, linewidth=1.5)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
        if run not in near:
            axes.set_ylim(*_limits([rows]))
            axes.tick_params(axis="y", labelleft=True, labelcolor=VERMILLION_TEXT)
    return panels.canvas


def _limits(parts: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """Limits of an axis that hold the log-ratios of some runs."""
    return spread(pd.concat(parts)[list(LINES)].to_numpy(dtype=float).ravel())


SPEC = FigureSpec(
    name="log_ratios",
    title="Log-ratios by step",
    note="Above zero, the run makes answers more likely than the model did that it starts from; below zero, less likely. "
    "The target is the answer that the stage teaches. Aligned and conflicting answers were drawn from the model before. "
    "A run that moves further than 10 from zero has an axis of its own, with red numbers.",
    draw=draw,
    own=Own(settings, files, numbers),
)
