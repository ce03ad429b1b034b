"""A table's frame as Markdown: the paper's caption, a note about ours, and the numbers side by side."""

import re
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from gradual.tables.spec import MISSING, Column, Study, TableSpec

# Columns of words; without this a model called 007 would come back from the CSV as 7.
WORDS = ("model", "label", "type", "category", "origin_type", "new_type", "stage", "state", "epoch", "note")


def read_table(path: Path) -> pd.DataFrame:
    """A table's CSV, an empty cell being a missing number."""
    return pd.read_csv(path, dtype=dict.fromkeys(WORDS, str), keep_default_na=False, na_values=[""])


def render(spec: TableSpec, frame: pd.DataFrame, study: Study) -> str:
    """The Markdown of a table's CSV, as `read_table` gives it."""
    columns = [column for column in spec.columns if column.key in frame and not frame[column.key].isna().all()]
    rows = [[_escape(_cell(column, row)) for column in columns] for _, row in frame.iterrows()]
    table = tabulate(
        rows,
        headers=[column.header for column in columns],
        tablefmt="github",
        colalign=["right" if column.right else "left" for column in columns],
        disable_numparse=True,
    )
    return f"**Table {spec.number}: {spec.caption}**\n\n{note(spec, frame, study)}\n\n{table}\n{_footnotes(frame)}"


def note(spec: TableSpec, frame: pd.DataFrame, study: Study) -> str:
    """The line that says what ours is."""
    models = []
    for model in study.models:
        n = frame.loc[frame["model"] == model.name, "n"].iloc[0]
        beside = f"beside the paper's {model.paper}" if model.paper else "beside none of the paper's models"
        models.append(f"{model.label} (n = {n:,.0f} {spec.unit}), {beside}")
    seeds = ", ".join(map(str, study.seeds))
    several = len(study.seeds) > 1
    parts = [
        f"Ours: {'; '.join(models)}",
        f"{'means over seeds' if several else 'seed'} {seeds}",
        f"scoring rule `{study.scoring}`",
    ]
    if any(need.state in (study.one_stage, study.two_stage) for need in spec.inputs(study)):
        parts.append(f"epochs chosen on {study.choose_on}")
    intervals = "over the seeds (Student's t)" if several else "over the facts"
    brackets = f"Brackets: 95% intervals {intervals}. {MISSING}: not in the paper, or not defined."
    return " ".join(filter(None, ["; ".join(parts) + ".", brackets, spec.remark]))


def _cell(column: Column, row: pd.Series) -> str:
    noted = column.key == "share" and "note" in row and not pd.isna(row["note"])
    return "n/a" if noted else column.cell(row)


def _footnotes(frame: pd.DataFrame) -> str:
    """Why a cell says n/a, a line each."""
    if "note" not in frame:
        return ""
    noted = frame[frame["note"].notna()]
    lines = [f"n/a, {label}, {stage}: {why}." for label, stage, why in noted[["label", "stage", "note"]].to_numpy()]
    return "".join(f"\n{line}\n" for line in lines)


def _escape(cell: str) -> str:
    return re.sub(r"([|\\])", r"\\\1", cell)
