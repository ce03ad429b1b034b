"""Two tables that the paper does not have: the stages and their controls, and replay ratios."""

import pandas as pd

from gradual.study.result_files import SELECTION, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.accuracy_rows import Line
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import count, with_interval
from gradual.tables.spec import Column, Model, Results, TableSpec


def needs_controls(study: Study, model: Model) -> list[Result]:
    """Selections and evaluations of the stages and of the model's controls."""
    if not model.has(*study.stages.values()):
        return []
    stages = {study.one_stage: study.one_stage_controls, study.two_stage: study.two_stage_controls}
    runs = [run for stage, controls in stages.items() for run in (stage, *controls) if model.has(run)]
    if set(runs) == set(stages):
        return []
    states = [n for run in runs for n in (Result(SELECTION, run), *reading.evaluated(run))]
    return [*reading.evaluated(ORIGIN), *states]


def needs_replay(study: Study, model: Model) -> list[Result]:
    """The selections and evaluations of the runs of the sweep, and the evaluation of the one-stage run."""
    if not study.replay or not model.has(study.one_stage, *study.replay):
        return []
    states = [n for run in study.replay for n in (Result(SELECTION, run), *reading.evaluated(run))]
    return [*reading.evaluated(study.one_stage), *states]


def _with_sizes(loaded: Results, study: Study, key: str, lines: list[Line]) -> list[dict[str, object]]:
    """The rows of the lines, each with the number of facts that its run trained on (mean over the seeds)."""
    found = accuracy_rows.rows(loaded, study, key, lines)
    for line, row in zip(lines, found, strict=True):
        sizes = [
            (reading.get(loaded, seed, key, Result(SELECTION, line.state))["role"] == "train").sum()
            for seed in study.seeds
        ]
        row["trained_on"] = float(sum(sizes) / len(sizes))
    return found


def build_controls(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and run: each stage and its controls, with the gain over the state that the stage starts from."""
    rows = []
    for key, model in study.models.items():
        groups = (
            ("One-Stage", study.one_stage, study.one_stage_controls, ORIGIN),
            ("Two-Stage", study.two_stage, study.two_stage_controls, study.one_stage),
        )
        for stage, run, controls, before in groups:
            there = [run, *(control for control in controls if model.has(control))]
            lines = [Line(study.title(name), name, before) for name in there]
            for line, row in zip(lines, _with_sizes(loaded, study, key, lines), strict=True):
                over = None
                if line.state != run:
                    over = accuracy_rows.difference(loaded, study, key, line.state, run)
                rows.append(
                    row
                    | {
                        "stage": stage,
                        "stage_over_control_points": None if over is None else 100 * over.value,
                        "stage_over_control_points_low": None if over is None else 100 * over.low,
                        "stage_over_control_points_high": None if over is None else 100 * over.high,
                    }
                )
    return pd.DataFrame(rows)


def build_replay(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and ratio; the gain is over the one-stage run."""
    rows = []
    for key in study.models:
        lines = [Line(study.title(run), run, study.one_stage) for run in study.replay]
        for ratio, row in zip(study.replay.values(), _with_sizes(loaded, study, key, lines), strict=True):
            rows.append(row | {"ratio": ratio})
    return pd.DataFrame(rows)


_TRAINED = Column("Facts trained on", lambda row: count(row["trained_on"]))

CONTROLS_SPEC = TableSpec(
    name="controls",
    caption="The stages and their controls. A stage should be better than the same training on other facts (Gekhman et "
    "al. 2024), and better than further training on the same facts.",
    uses=("one_stage", "two_stage", "one_stage_controls", "two_stage_controls", "choose_on"),
    needs=needs_controls,
    build=build_controls,
    columns=(
        Column("Stage", lambda row: row["stage"], right=False),
        Column("Run", lambda row: row["name"], right=False),
        _TRAINED,
        *accuracy_rows.OURS,
        Column("The stage over it [95% interval]", lambda row: with_interval(row, "stage_over_control_points", "+.2f")),
    ),
    facts="test facts",
    note="Gains are over the state that the stage starts from. One-Stage starts from the origin, and Two-Stage starts from "
    f"One-Stage. {accuracy_rows.NOTE}",
)
REPLAY_SPEC = TableSpec(
    name="replay",
    caption="The second stage with different replay ratios. The replay ratio is the share of the facts for replay that "
    "each epoch replays.",
    uses=("one_stage", "replay", "choose_on"),
    needs=needs_replay,
    build=build_replay,
    columns=(
        Column("Run", lambda row: row["name"], right=False),
        Column("Replay ratio", lambda row: f"{row['ratio']:g}"),
        _TRAINED,
        *accuracy_rows.OURS,
    ),
    facts="test facts",
    note=f"Gains are over One-Stage. {accuracy_rows.NOTE}",
)
