"""A table's CSV as Markdown: the caption, the paper's numbers and ours, and a note on ours."""

from typing import Any

import pandas as pd
from tabulate import tabulate

from gradual.tables.spec import TableSpec

MISSING = "–"
COUNTS = (
    *("paper_count", "count", "n", "seeds", "facts", "trained_on", "initial", "reclassified", "linked"),
    *("majority_n", "frequent_n", "rare_n", "rare_facts"),
    *("kept_n", "unrelated_n", "own_n", "conflicting_n", "earlier_n"),
)


def number(value: Any, form: str = ".2f") -> str:
    """A number in a format, or a dash where there is none."""
    return MISSING if pd.isna(value) else format(float(value), form)


def percent(share: Any, form: str = ".1f") -> str:
    """A share (0..1) in percent."""
    return MISSING if pd.isna(share) else number(100 * share, form)


def count(value: Any) -> str:
    """A count with thousands separators. A mean over seeds has one decimal unless it is a whole number."""
    return MISSING if pd.isna(value) else number(value, ",.0f" if float(value).is_integer() else ",.1f")


def interval(low: str, high: str) -> str:
    """The ends of an interval in brackets, or a dash where there is none."""
    return MISSING if MISSING in (low, high) else f"[{low}, {high}]"


def percents(row: pd.Series, name: str, form: str = ".1f") -> str:
    """The interval of a share in percent, from the columns <name>_low and <name>_high."""
    return interval(percent(row[f"{name}_low"], form), percent(row[f"{name}_high"], form))


def with_interval(row: pd.Series, name: str, form: str = ".2f") -> str:
    """The number of a column, and behind it its interval if it has one, from the columns <name>_low and <name>_high."""
    value, low, high = (number(row[f"{name}{end}"], form) for end in ("", "_low", "_high"))
    return value if low == MISSING else f"{value} {interval(low, high)}"


def probability(value: Any) -> str:
    """A p-value with three decimals."""
    return "< 0.001" if not pd.isna(value) and value < 0.001 else number(value, ".3f")


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with count columns as integers if all their numbers are whole."""
    columns = [name for name in COUNTS if name in frame and (frame[name].dropna().astype(float) % 1 == 0).all()]
    return frame.astype(dict.fromkeys(columns, "Int64"))


def render(spec: TableSpec, frame: pd.DataFrame) -> str:
    """The Markdown of a table's CSV."""
    table = tabulate(
        [[column.cell(row).replace("|", r"\|") for column in spec.columns] for _, row in frame.iterrows()],
        headers=[column.header for column in spec.columns],
        tablefmt="github",
        colalign=["right" if column.right else "left" for column in spec.columns],
        disable_numparse=True,
    )
    return f"{title(spec)}: {spec.caption}\n\n{table}\n\n{_note(spec, frame)}\n"


def title(spec: TableSpec) -> str:
    """The title of a table: the paper's number, or our name."""
    return f"Table {spec.number}" if spec.number else spec.name.capitalize().replace("_", " ")


def beside(model: str, paper_model: Any) -> str:
    """A model's name and the model of the paper that it is compared with."""
    other = "no model of the paper" if pd.isna(paper_model) else f"the paper's {paper_model}"
    return f"{model} (compared with {other})"


def _note(spec: TableSpec, frame: pd.DataFrame) -> str:
    """What our numbers come from (models, facts, seeds, scoring rule, choice of the epoch), and the table's own note."""
    first = frame.iloc[0]
    models = frame.drop_duplicates("model")
    same = "n" in frame and (frame.groupby("model")["n"].nunique(dropna=False) == 1).all()
    names = [
        (beside(row["label"], row["paper_model"]) if spec.number or spec.reported else row["label"])
        + (f", {count(row['n'])} facts" if same else "")
        for _, row in models.iterrows()
    ]
    seeds = "from 1 seed" if first["seeds"] == 1 else f"means over {count(first['seeds'])} seeds"
    parts = [f"Our numbers are for {'; '.join(names)}. They are {seeds}."]
    parts.append(f"The rule `{first['scoring']}` decides whether an answer is right.")
    if "chosen_on" in frame:
        parts.append(f"Epochs are chosen on {first['chosen_on']}.")
    if spec.reported and not models["paper_model"].dropna().isin(spec.reported).all():
        parts.append(f"The paper reports {' and '.join(spec.reported)} only.")
    return " ".join([*parts, spec.note])
