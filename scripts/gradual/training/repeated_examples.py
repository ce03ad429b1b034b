"""Repeated examples: a run that trains as many steps as another run, although it has fewer examples."""

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.seeding import seeded
from gradual.knowledge.selection_roles import REPLAY, TRAIN


def repeat_examples(examples: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """The examples, repeated until there are `rows` rows to train on; rows to replay stay as they are.

    Each row comes equally often, or once more. Those that come once more are drawn by the seed and the row. Raises
    InputError if there are more than `rows` rows already.
    """
    train = examples[examples["role"] == TRAIN].reset_index(drop=True)
    if len(train) > rows:
        problem = f"{len(train)} rows to train on, but the run that it has the steps of has {rows}"
        raise InputError("examples", problem, "a run with at least as many rows", key="steps_of")
    times, more = divmod(rows, len(train))
    keys = train[["fact_id", "question"]].itertuples(index=False, name=None)
    order = pd.Series([seeded(seed, "repeat", *key) for key in keys], dtype=object).sort_values().index
    whole = [*[train] * times, train.loc[sorted(order[:more])]]
    return pd.concat([*whole, examples[examples["role"] == REPLAY]], ignore_index=True)
