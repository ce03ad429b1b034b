"""Accuracy by epoch on dev and test, with the epoch that each run chose."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.files import read_json
from gradual.report.canvas import BLUE, GREY, ORANGE, Canvas, Entry, spread
from gradual.report.dots import by_model
from gradual.report.panels import Panels
from gradual.report.spec import FigureSpec, Needs, Own
from gradual.study.result_files import ACCURACY, ADAPTER, Result, path_of
from gradual.study.runs import ORIGIN
from gradual.tables.gradual_learning.roles import study_of
from gradual.tables.table_csv import read_table

SPLITS = {"dev": (ORANGE, "--"), "test": (BLUE, "-")}


def settings(config: Mapping[str, Any], needs: Needs) -> dict[str, Any]:
    """The runs of each model that take part in stages, rounds and longer trainings, if a table needs their evaluation."""
    study, models = study_of(config), []
    wanted = [study.one_stage, *study.longer, study.two_stage, *study.rounds]
    for key, model in study.models.items():
        there = {*needs.get(key, ())}
        runs = [run for run in dict.fromkeys(wanted) if run and {Result(ACCURACY, run), Result(ADAPTER, run)} <= there]
        if runs:
            names = {run: _name(study, run) for run in runs}
            alike = Counter(names.values())
            named = [(run, f"{name} ({run})" if alike[name] > 1 else name) for run, name in names.items()]
            origin = Result(ACCURACY) in there
            models.append({"key": key, "label": model.label, "origin": origin, "runs": named})
    return {"seeds": list(study.seeds), "models": models} if models else {}


def _name(study: Any, run: str) -> str:
    """A run's name: its label or its role in the tables and, where there are longer trainings, its epochs."""
    roles = {study.one_stage: "One-Stage", study.two_stage: "Two-Stage"} | dict.fromkeys(study.longer, "One-Stage")
    roles |= {further: f"Round {number}" for number, further in enumerate(study.rounds, 3)}
    name = study.labels.get(run, roles[run])
    return f"{name}, {study.longer[run]} epochs" if run in study.longer and len(study.longer) > 1 else name


def files(told: Mapping[str, Any]) -> list[str]:
    """The accuracies of the runs and of the origin, and the chosen epochs."""
    return [
        path_of(need, seed, model["key"])
        for seed in told["seeds"]
        for model in told["models"]
        for need in (
            *([Result(ACCURACY)] if model["origin"] else []),
            *(Result(kind, run) for run, _ in model["runs"] for kind in (ACCURACY, ADAPTER)),
        )
    ]


def numbers(root: Path, told: Mapping[str, Any]) -> pd.DataFrame:
    """A row per model, run, epoch and split: mean, lowest and highest accuracy of the seeds in percent, the origin's
    accuracy, and how many seeds chose the epoch."""
    parts = []
    for model in told["models"]:
        origin = _accuracies(root, told["seeds"], model["key"], ORIGIN) if model["origin"] else pd.DataFrame()
        before = origin.groupby("split")["percent"].mean() if len(origin) else pd.Series(dtype=float)
        for run, name in model["runs"]:
            found = _accuracies(root, told["seeds"], model["key"], run)
            handles = [root / path_of(Result(ADAPTER, run), seed, model["key"]) for seed in told["seeds"]]
            chosen = [int(read_json(file, "the handle of a chosen adapter")["epoch"]) for file in handles]
            by = found.groupby(["epoch", "split"], sort=True)["percent"].agg(["mean", "min", "max"]).reset_index()
            by = by.rename(columns={"mean": "percent", "min": "percent_min", "max": "percent_max"})
            by["origin_percent"] = by["split"].map(before)
            by["seeds_that_chose_it"] = by["epoch"].map(chosen.count)
            parts.append(by.assign(label=model["label"], name=name))
    columns = ["label", "name", "epoch", "split", "percent", "percent_min", "percent_max"]
    return pd.concat(parts)[[*columns, "origin_percent", "seeds_that_chose_it"]]


def _accuracies(root: Path, seeds: list[int], model: str, state: str) -> pd.DataFrame:
    """The accuracy of a state in percent, by seed, epoch and split."""
    read = [read_table(root / path_of(Result(ACCURACY, state), seed, model)) for seed in seeds]
    found = pd.concat(read)
    return found.assign(epoch=found["epoch"].astype(int), percent=100 * found["accuracy"])


def draw(shown: pd.DataFrame) -> Canvas:
    """A panel per run."""
    shown = shown.assign(epoch=shown["epoch"].astype(int))
    groups = [(label, list(dict.fromkeys(rows["name"]))) for label, rows in by_model(shown)]
    entries: list[Entry] = [(split, {"color": colour, "linestyle": line}) for split, (colour, line) in SPLITS.items()]
    entries += [
        ("before training", {"color": GREY, "linestyle": ":"}),
        ("chosen epoch", {"marker": "^", "color": GREY, "markersize": 6, "linestyle": "none"}),
    ]
    panels = Panels(groups, "epoch", "right answers, %", entries)
    values = shown[["percent_min", "percent_max", "origin_percent"]].to_numpy(dtype=float).ravel()
    low, high = spread(values, 0.1)
    for (label, names), of_model in zip(groups, panels.axes, strict=True):
        for name, axes in zip(names, of_model, strict=True):
            rows = shown[(shown["label"] == label) & (shown["name"] == name)]
            for split, (colour, line) in SPLITS.items():
                of = rows[rows["split"] == split]
                if not len(of):
                    continue
                if split == "test":
                    axes.fill_between(
                        of["epoch"], of["percent_min"], of["percent_max"], color=colour, alpha=0.2, linewidth=0
                    )
                elif (of["percent_min"] < of["percent_max"]).any():  # bands of two colours would lie over each other
                    for end in ("percent_min", "percent_max"):
                        axes.plot(of["epoch"], of[end], color=colour, linestyle=line, linewidth=0.7)
                axes.plot(of["epoch"], of["percent"], color=colour, linestyle=line, linewidth=1.6)
                if split == "test":
                    before = of["origin_percent"].iloc[0]
                    if before == before:
                        axes.axhline(before, color=GREY, linestyle=":", linewidth=1.2)
                    chosen = of[of["seeds_that_chose_it"] > 0]
                    sizes = 12 + 30 * chosen["seeds_that_chose_it"] / chosen["seeds_that_chose_it"].sum()
                    axes.scatter(
                        chosen["epoch"], [low + 0.06 * (high - low)] * len(chosen), s=sizes, marker="^", color=GREY
                    )
            axes.set_ylim(low, high)
            axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    return panels.canvas


SPEC = FigureSpec(
    name="epochs",
    title="Accuracy by epoch",
    note="Thick lines are means over the seeds. The band (test) and the thin lines (dev) reach from the lowest to the "
    "highest seed. The dotted line is the accuracy on test before any training. Triangles mark the chosen epochs; a larger "
    "one was chosen by more seeds.",
    draw=draw,
    own=Own(settings, files, numbers),
)
