"""The choice of a run's epoch."""

import pandas as pd

from gradual.ground.errors import InputError

LAST = "last"  # in the place of a split: the last epoch, whatever its accuracy


def choose_epoch(accuracy: pd.DataFrame, split: str) -> int:
    """The epoch with the best accuracy on the split. Among equal epochs, it is the earliest.

    Raises InputError if no epoch was evaluated on the split.
    """
    rows = accuracy[accuracy["split"] == split]
    if rows.empty:
        raise InputError(
            "accuracy", f"no epoch was evaluated on {split!r}", f"{split!r} among evaluation.splits", key="choose_on"
        )
    return int(rows.sort_values(["accuracy", "epoch"], ascending=[False, True])["epoch"].iloc[0])
