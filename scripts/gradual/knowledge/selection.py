"""The facts that a run trains on and may replay, selected by their categories in earlier states."""

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.seeding import seeded
from gradual.knowledge.selection_roles import REPLAY, TRAIN


def select_facts(
    categories: dict[str, pd.DataFrame],
    select: dict[str, list[str]],
    replay: tuple[str, str] | None,
    run: str,
    size: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The facts that a run trains on, and the replay pool. Columns: fact_id, role ("train" | "replay").

    A fact is selected if its category in every state of `select` is one of those listed (GL 4.2.2). With a `size`, so many
    of these are drawn at random, or all if there are fewer (Gekhman et al. 2024 compare training sets of equal size).
    `replay` is a state and a category. The replay pool has the facts of this category in this state, without the selected
    facts. `categories` maps states to their tables (fact_id, category). In the result, each role is sorted by fact_id.
    Raises InputError if no fact is selected or the replay pool is empty.
    """
    tables = {state: table.set_index("fact_id")["category"] for state, table in categories.items()}
    chosen: set[str] | None = None
    for state, wanted in select.items():
        having = set(tables[state].index[tables[state].isin(wanted)])
        chosen = having if chosen is None else chosen & having
    if not chosen:
        found = {state: tables[state].value_counts().to_dict() for state in select}
        raise InputError(
            f"run {run}", f"no fact is selected by {select}", f"some; the categories are {found}", key="select"
        )
    if size is not None:
        chosen = set(sorted(chosen, key=lambda fact_id: seeded(seed, run, "size", fact_id))[:size])
    rows = [(fact_id, TRAIN) for fact_id in sorted(chosen)]
    if replay:
        state, category = replay
        pool = sorted(set(tables[state].index[tables[state] == category]) - chosen)
        if not pool:
            raise InputError(f"run {run}", f"no fact is {category} in {state}", "facts to replay", key="replay")
        rows += [(fact_id, REPLAY) for fact_id in pool]
    return pd.DataFrame(rows, columns=["fact_id", "role"])
