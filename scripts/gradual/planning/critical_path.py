"""The critical path of a plan: how long a study takes where every job has its GPUs at once."""

from collections.abc import Mapping
from functools import cache

import pandas as pd

from gradual.planning.rows import DOWNLOAD
from gradual.study.priorities import Step, before
from gradual.study.runs import Run


def critical_path(rows: pd.DataFrame, table: Mapping[str, Run]) -> tuple[list[Step], str, float]:
    """The longest chain of works that wait for each other: its steps, its model's label, and its hours.

    `rows` are a plan's, of one seed.
    """
    found: list[tuple[list[Step], str, float]] = []
    for label, of_model in rows[rows["work"] != DOWNLOAD].groupby("label", sort=False):
        wall = {(row["state"], row["work"]): row["wall"] / 3600 for _, row in of_model.iterrows()}

        @cache
        def longest(step: Step, wall: Mapping[Step, float] = wall) -> tuple[float, tuple[Step, ...]]:
            waited = [longest(other) for other in before(step, table) if other in wall]
            hours, steps = max(waited, default=(0.0, ()))
            return hours + wall[step], (*steps, step)

        hours, steps = max(longest(step) for step in wall)
        found.append((list(steps), str(label), hours))
    return max(found, key=lambda each: each[2])
