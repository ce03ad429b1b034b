"""How long work takes: stated throughputs, a line of them per device, each with where it is from."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gradual.ground.errors import InputError

RESOURCES = ("throughputs.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])


@dataclass(frozen=True)
class Device:
    """The throughputs of one GPU, or of the machine without one.

    A rate of tokens per second holds for a model of so many parameters; of another it is scaled by their number, down to
    models of the least.
    """

    name: str
    table: pd.DataFrame  # by step: value, unit, parameters, basis (published, derived, measured, assumption), source

    def seconds(self, step: str, amount: float, parameters: int) -> float:
        """Seconds that `amount` tokens (or starts, for a step in seconds) of a model take."""
        row = self.table.loc[step]
        size = max(parameters, self.table.loc["least", "value"]) / row["parameters"] if row["parameters"] else 1.0
        return amount * size * (row["value"] if row["unit"] == "s" else 1 / row["value"])

    def training_seconds(self, micro_batches: float, tokens: float, parameters: int) -> float:
        """Seconds of a LoRA training: each micro-batch takes the time of its tokens, and never less than a certain time."""
        return max(self.seconds("training", tokens, parameters), self.seconds("micro_batch", micro_batches, parameters))


def device(name: str) -> Device:
    """A device's line of the throughputs; InputError for one that has none."""
    frame = pd.read_csv(FILE)
    lines = list(frame["line"].unique())
    if name not in lines:
        raise InputError(
            FILE, f"there is no line {name!r}", f"GPU={' or '.join(lines)}, or a line of your own", key="line"
        )
    return Device(name, frame[frame["line"] == name].set_index("step"))
