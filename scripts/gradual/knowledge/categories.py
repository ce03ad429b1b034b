"""The four categories of how well a model knows a fact (GL Table 1, after Gekhman et al. 2024)."""

import numpy as np
import pandas as pd

from gradual.ground.errors import InputError
from gradual.probe.generations import GREEDY, SAMPLED

HIGHLY, MAYBE, WEAKLY, UNKNOWN = "HighlyKnown", "MaybeKnown", "WeaklyKnown", "Unknown"
# The category of facts without a right greedy answer if no answers were sampled (GL Table 3).
WEAKLY_OR_UNKNOWN = "WeaklyKnown & Unknown"
FULL = (HIGHLY, MAYBE, WEAKLY, UNKNOWN)
GREEDY_ONLY = (HIGHLY, MAYBE, WEAKLY_OR_UNKNOWN)


def categorize(grades: pd.DataFrame, scoring: str, mode: str, file: str) -> pd.DataFrame:
    """The category of each fact from its counts of right answers under one scoring rule.

    `grades` has a row per fact, prompt and kind (see `scoring.count_right`). `mode` is "full" (sampled answers
    distinguish WeaklyKnown from Unknown) or "greedy". The result has a row per fact, sorted by fact_id. Its columns are
    fact_id, greedy_n, greedy_right, sampled_n, sampled_right and category. Raises InputError if a fact has
    no greedy answer, or no samples although it needs them.
    """
    counts = grades.groupby(["fact_id", "kind"])[["n", scoring]].sum().unstack("kind", fill_value=0)
    table = pd.DataFrame(index=counts.index)
    for kind in (GREEDY, SAMPLED):
        for name, column in (("n", "n"), ("right", scoring)):
            values = counts[column, kind] if (column, kind) in counts.columns else 0
            table[f"{kind}_{name}"] = values
            table[f"{kind}_{name}"] = table[f"{kind}_{name}"].fillna(0).astype("int64")
    unsolved = table["greedy_right"] == 0
    for fact_id in table.index[table["greedy_n"] == 0]:
        raise InputError(file, f"fact {fact_id} has no greedy answer", "an answer to every prompt", key="kind")
    if mode == "full":
        for fact_id in table.index[unsolved & (table["sampled_n"] == 0)]:
            raise InputError(
                file, f"fact {fact_id} has no sampled answer", "samples of every unsolved fact", key="kind"
            )
    none_right = np.where(table["sampled_right"] > 0, WEAKLY, UNKNOWN) if mode == "full" else WEAKLY_OR_UNKNOWN
    table["category"] = np.select(
        [table["greedy_right"] == table["greedy_n"], ~unsolved], [HIGHLY, MAYBE], default=none_right
    )
    return table.reset_index()
