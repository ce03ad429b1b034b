"""A table's CSV as Markdown: the caption, the paper's numbers and ours, and a note on ours.

What all tables of a study have in common is said once, at their head (tables/head.py)."""

from typing import Any

import pandas as pd
from tabulate import tabulate

from gradual.tables.spec import Part, TableSpec

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


def with_interval(row: pd.Series, name: str, form: str = ".2f", factor: float = 1) -> str:
    """The number of a column, and behind it its interval if it has one, from the columns <name>_low and <name>_high.

    All three are multiplied by the factor.
    """
    cells = [row[f"{name}{end}"] for end in ("", "_low", "_high")]
    value, low, high = (MISSING if pd.isna(cell) else number(factor * cell, form) for cell in cells)
    return value if MISSING in (low, high) else f"{value} [{low}, {high}]"


def percents(row: pd.Series, name: str, form: str = ".1f") -> str:
    """A share in percent, and behind it its interval if it has one."""
    return with_interval(row, name, form, 100)


def probability(value: Any) -> str:
    """A p-value with three decimals."""
    return "< 0.001" if not pd.isna(value) and value < 0.001 else number(value, ".3f")


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with count columns as integers if all their numbers are whole."""
    columns = [name for name in COUNTS if name in frame and (frame[name].dropna().astype(float) % 1 == 0).all()]
    return frame.astype(dict.fromkeys(columns, "Int64"))


def render(spec: TableSpec, frame: pd.DataFrame) -> str:
    """The Markdown of a table's CSV. Each model and each part of the table has a table of its own, one below the other."""
    models = [rows for _, rows in frame.groupby("model", sort=False)]
    tables = []
    for rows in models:
        for part in spec.parts:
            told = [rows["label"].iloc[0]] * (len(models) > 1) + [part.heading] * bool(part.heading)
            tables.append("".join(f"{', '.join(told)}:\n\n" * bool(told)) + _table(part, part.rows(rows)))
    return "\n\n".join([f"{title(spec)}: {spec.caption}", *tables, *filter(None, [note(spec, frame)])]) + "\n"


def _table(part: Part, frame: pd.DataFrame) -> str:
    return tabulate(
        [[column.cell(row).replace("|", r"\|") for column in part.columns] for _, row in frame.iterrows()],
        headers=[column.header for column in part.columns],
        tablefmt="github",
        colalign=["right" if column.right else "left" for column in part.columns],
        disable_numparse=True,
    )


def title(spec: TableSpec) -> str:
    """The title of a table: the paper's number, or our name."""
    return f"Table {spec.number}" if spec.number else spec.name.capitalize().replace("_", " ")


def note(spec: TableSpec, frame: pd.DataFrame) -> str:
    """The table's own note, after a word on models that the paper's table does not have."""
    compared = frame["paper_model"].dropna()
    all_there = not spec.reported or compared.isin(spec.reported).all()
    return " ".join(
        filter(None, ["" if all_there else f"The paper reports {' and '.join(spec.reported)} only.", spec.note])
    )
