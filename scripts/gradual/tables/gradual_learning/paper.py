"""The paper's own numbers: Tables 2 to 12 of GL as printed, a row of `paper.csv` per number.

GL says that a table which names no model is Qwen2-7B's (4.1.1).
"""

from functools import cache
from pathlib import Path

import pandas as pd

from gradual.ground.errors import InputError

RESOURCES = ("paper.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])


@cache
def _read() -> pd.DataFrame:
    return pd.read_csv(FILE)


def values(number: int, model: str | None) -> dict[tuple[str, str], float]:
    """A model's numbers by (row, column), in the paper's order; empty for no model and where it is not reported.

    Raises InputError for a model that the paper does not have.
    """
    frame = _read()
    known = list(frame["model"].unique())
    if model is not None and model not in known:
        problem = f"the paper has no model {model!r}"
        raise InputError("models", problem, f"{', '.join(known)} or null", key="paper")
    rows = frame[(frame["table"] == number) & (frame["model"] == model)]
    return dict(zip(zip(rows["row"], rows["column"], strict=True), rows["value"], strict=True))


def models(number: int) -> tuple[str, ...]:
    """The models that a table reports."""
    frame = _read()
    return tuple(frame.loc[frame["table"] == number, "model"].unique())


def name_of(run: str) -> str:
    """What the paper calls a run: strategy5 is its Strategy 5."""
    number = run.removeprefix("strategy")
    return f"Strategy {number}" if run.startswith("strategy") and number.isdigit() else run
