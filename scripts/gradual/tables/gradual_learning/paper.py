"""The paper's own numbers: Tables 2 to 12 of GL as printed, a row of `paper.csv` per number.

GL says that a table which names no model is Qwen2-7B's (4.1.1).
"""

from functools import cache
from pathlib import Path

import pandas as pd

from gradual.ground.errors import InputError

RESOURCES = ("paper.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])
COMPLETE = "Qwen2-7B"  # the model that the paper has all tables of


@cache
def _read() -> pd.DataFrame:
    return pd.read_csv(FILE)


def values(number: int, model: str | None) -> dict[tuple[str, str], float]:
    """A model's numbers by (row, column), in the paper's order; empty for None and for a model that the table lacks.

    Raises InputError for a model that the paper does not have.
    """
    frame = _read()
    known = models()
    if model is not None and model not in known:
        problem = f"the paper has no model {model!r}"
        raise InputError("models", problem, f"{', '.join(known)} or null", key="paper")
    rows = frame[(frame["table"] == number) & (frame["model"] == model)]
    return dict(zip(zip(rows["row"], rows["column"], strict=True), rows["value"], strict=True))


def models(number: int | None = None) -> tuple[str, ...]:
    """The models that a table reports, or any table."""
    frame = _read()
    return tuple(frame.loc[(frame["table"] == number) | (number is None), "model"].unique())


def joint_shares(model: str | None) -> pd.DataFrame:
    """The shares of a model's train facts by their categories at the origin, after stage 1 and after stage 2.

    Columns: 0, 1 and 2 (a category after so many stages) and share; the shares sum to 1. Table 3 counts the moves of stage
    1, and Table 12 those of stage 2. No table counts both moves of a fact, so the second one is taken to depend only on the
    category after stage 1. Qwen2-7B stands in for None. Its Table 12 also stands in for LLaMA3-8B's, which the paper does
    not have. Raises InputError as `values` does.
    """
    first = values(3, model or COMPLETE)
    second = values(12, model) or values(12, COMPLETE)
    leaving = {category: sum(n for (left, _), n in second.items() if left == category) for category, _ in second}
    moves = [
        (origin, one, two, n / sum(first.values()) * m / leaving[one])
        for (origin, one), n in first.items()
        for (left, two), m in second.items()
        if left == one
    ]
    return pd.DataFrame(moves, columns=[0, 1, 2, "share"])


def name_of(run: str) -> str:
    """What the paper calls a run: strategy5 is its Strategy 5."""
    number = run.removeprefix("strategy")
    return f"Strategy {number}" if run.startswith("strategy") and number.isdigit() else run
