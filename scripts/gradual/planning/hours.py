"""How long work takes: stated throughputs of a device, and the longest chain of jobs that wait for each other."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gradual.ground.errors import InputError
from gradual.study.runs import Runs
from gradual.study.steps import inputs, longest_chains, standing_on

RESOURCES = ("throughputs.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])
CPU = "CPU"  # the line of a machine without a GPU


@dataclass(frozen=True)
class Device:
    """The throughputs of one GPU, or of a machine without one.

    `table` has by step: value, unit, parameters, basis (published, derived, measured or assumption) and source. A value is
    that of a model with so many parameters. For another model it is scaled by the parameters. Of several values of a step,
    the one of the model that is nearest in size counts. A model with fewer parameters than the value of the step `least` is
    planned with that value.
    """

    name: str
    table: pd.DataFrame

    def seconds(self, step: str, amount: float, parameters: int) -> float:
        """Seconds that a model takes for `amount` tokens, or for `amount` starts if the step's unit is seconds."""
        size = max(parameters, self.table.loc["least", "value"])
        rows = self.table.loc[[step]]
        if not rows["parameters"].iloc[0]:
            size, row = 1.0, rows.iloc[0]
        else:
            row = rows.iloc[int(np.abs(np.log(rows["parameters"] / size)).argmin())]
            size /= row["parameters"]
        return amount * size * (row["value"] if row["unit"] == "s" else 1 / row["value"])


def device(name: str) -> Device:
    """A device of throughputs.csv; InputError for one that has no line there."""
    frame = pd.read_csv(FILE)
    known = list(frame["line"].unique())
    if name not in known:
        expected = f"GPU={' or '.join(known)}, or a line of your own"
        raise InputError(FILE, f"there is no line {name!r}", expected, key="GPU")
    return Device(name, frame[frame["line"] == name].set_index("step"))


def critical_path(rows: pd.DataFrame, runs: Runs) -> tuple[float, str, list[str]]:
    """The longest chain of works in a plan's rows that wait for each other: its hours, its model's label, its works.

    All jobs of a work are assumed to run in parallel.
    """
    return max(_longest(group, runs) for _, group in rows[rows["result"].notna()].groupby("model"))


def _longest(rows: pd.DataFrame, runs: Runs) -> tuple[float, str, list[str]]:
    """The same of one model's rows."""
    wall = dict(zip(rows["result"], rows["hours"] / rows["jobs"] / rows["gpus"], strict=True))
    named = dict(zip(rows["result"], rows["state"] + " " + rows["work"], strict=True))
    results = standing_on(wall, runs)
    left = longest_chains(results, runs, lambda result: wall.get(result, 0.0))
    chain, waiting = [], results
    while waiting:
        chain.append(max(waiting, key=left.__getitem__))
        waiting = [other for other in results if any(chain[-1] in each for each in inputs(other, runs).values())]
    return left[chain[0]], rows["label"].iloc[0], [named[result] for result in chain if result in named]
