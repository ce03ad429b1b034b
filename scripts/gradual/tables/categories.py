"""What the tables about categories share: the levels, merging the two lowest, and counting."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from gradual.knowledge import FULL, GREEDY_ONLY, UNKNOWN, WEAKLY, WEAKLY_OR_UNKNOWN


def merged(categories: pd.Series) -> pd.Series:
    """The categories with WeaklyKnown and Unknown as one, as a greedy-only probe gives them."""
    return categories.replace({WEAKLY: WEAKLY_OR_UNKNOWN, UNKNOWN: WEAKLY_OR_UNKNOWN})


def levels_of(tables: Iterable[pd.Series]) -> Sequence[str]:
    """The finest categories that all tables tell apart, from the best known to the least."""
    return GREEDY_ONLY if any((table == WEAKLY_OR_UNKNOWN).any() for table in tables) else FULL


def at_levels(categories: pd.Series, levels: Sequence[str]) -> pd.Series:
    """The categories at those levels."""
    return categories if WEAKLY in levels else merged(categories)


def counts(categories: pd.Series, levels: Sequence[str]) -> pd.Series:
    """How many facts are at each level, zeros included; ValueError where a fact is at none."""
    table = categories.value_counts().reindex(levels, fill_value=0)
    if table.sum() != len(categories):
        raise ValueError(f"{len(categories) - table.sum()} facts are at none of the levels {', '.join(levels)}")
    return table


def printed_at_levels(printed: Mapping[tuple[str, str], float], levels: Sequence[str]) -> dict[tuple[str, str], float]:
    """The paper's numbers with the rows WeaklyKnown and Unknown added up where the levels merge them."""
    result: dict[tuple[str, str], float] = {}
    for (row, column), value in printed.items():
        key = (row if row in levels else WEAKLY_OR_UNKNOWN, column)
        result[key] = result.get(key, 0) + value
    return result
