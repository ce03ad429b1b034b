"""Claims of a paper, what a study found about each, and the verdicts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradual.ground.statistics import UNDEFINED, Estimate
from gradual.tables.markdown import MISSING, number, with_interval
from gradual.tables.spec import Column

SHOWS, NOT, UNDECIDED = "shows", "does not show", "undecided"
RISES, FALLS, STAYS, NO_RISE = "rises", "falls", "does not fall", "does not rise"
MARGIN = 0.005  # the smallest effect of interest: 0.5 points


@dataclass(frozen=True)
class Claim:
    """A claim of a paper and what we found; all numbers are shares or differences of shares.

    `direction` is what the claim says about the effect. `facts` is the number of facts that the effect is of (a mean
    over the seeds), or NaN if it is not of facts. `net` is the effect minus the control's, on the same facts. With
    `beyond`, the claim is about `net`. `margin` is the smallest effect of interest.
    """

    text: str
    direction: str
    effect: Estimate
    facts: float
    paper: float | None = None
    control: str = ""
    control_effect: Estimate = UNDEFINED
    net: Estimate = UNDEFINED
    beyond: bool = False
    margin: float = MARGIN

    @property
    def verdict(self) -> str:
        """What the effect, or with `beyond` the net effect, says of the claim."""
        return verdict(self.net if self.beyond else self.effect, self.direction, self.margin)

    def described(self) -> dict[str, Any]:
        """The columns of a table that say what the claim is; numbers are in points."""
        return {
            "claim": self.text,
            "direction": self.direction,
            "margin_points": 100 * self.margin,
            "paper_points": None if self.paper is None else 100 * self.paper,
            "control": self.control,
        }

    def found(self) -> dict[str, Any]:
        """The columns of a table that say what was found, and the verdicts; numbers are in points."""
        row: dict[str, Any] = {}
        for name, found in (("effect", self.effect), ("control", self.control_effect), ("net", self.net)):
            row |= found.columns(f"{name}_points", 100)
        against = verdict(self.net, self.direction, self.margin) if not np.isnan(self.net.value) else ""
        return row | {"verdict": self.verdict, "verdict_against_control": against}


def verdict(estimate: Estimate, direction: str, margin: float) -> str:
    """What a 95% interval says of a claim.

    RISES: SHOWS if the interval is above 0, else NOT if it is below the margin. STAYS: SHOWS if it is above minus the
    margin, else NOT if it is below 0. FALLS and NO_RISE are the same with reversed signs. All other cases, and a missing
    interval, are UNDECIDED.
    """
    _, low, high = estimate
    if direction in (FALLS, NO_RISE):
        low, high = -high, -low
    if np.isnan(low) or np.isnan(high):
        return UNDECIDED
    if direction in (RISES, FALLS):
        return SHOWS if low > 0 else NOT if high < margin else UNDECIDED
    return SHOWS if low > -margin else NOT if high < 0 else UNDECIDED


def points(name: str) -> Callable[[pd.Series], str]:
    """The cell of an effect with its interval, from the columns <name>_points, <name>_points_low and <name>_points_high."""
    return lambda row: with_interval(row, f"{name}_points", "+.2f")


def text(name: str) -> Callable[[pd.Series], str]:
    """The cell of a text, or a dash where there is none."""
    return lambda row: MISSING if pd.isna(row[name]) or row[name] == "" else str(row[name])


def _control(row: pd.Series) -> str:
    """The control, and the verdict on the effect net of the control's."""
    against = text("verdict_against_control")(row)
    return text("control")(row) if against == MISSING else f"{row['control']}: {against}"


COLUMNS = (
    Column("Claim", text("claim"), right=False),
    Column("Paper", lambda row: number(row["paper_points"], "+.2f")),
    Column("Ours [95% interval]", points("effect")),
    Column("Verdict", text("verdict"), right=False),
    Column("Control", _control, right=False),
)
