"""Repeated examples: a run with fewer examples than another run trains as many steps, or on as many tokens."""

from collections.abc import Sequence

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.seeding import seeded
from gradual.knowledge.selection_roles import REPLAY, TRAIN


def repeat_examples(examples: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """The examples, repeated until there are `rows` rows to train on; rows to replay stay as they are.

    Each row comes equally often, or once more. Those that come once more are drawn by the seed and the row. Raises
    InputError if there are more than `rows` rows already.
    """
    train = _train(examples)
    if len(train) > rows:
        problem = f"{len(train)} rows to train on, but the run that it has the steps of has {rows}"
        raise InputError("examples", problem, "a run with at least as many rows", key="steps_of")
    times, more = divmod(rows, len(train))
    return _repeated(examples, times, _drawn(train, seed)[:more])


def repeat_to_tokens(examples: pd.DataFrame, sizes: Sequence[int], tokens: int, seed: int) -> pd.DataFrame:
    """The same until the rows to train on have `tokens` tokens together, or up to a row less.

    `sizes` are the tokens of each row to train on, in order. The order of the rows that come once more is that of
    `repeat_examples`. Raises InputError if there are more tokens already.
    """
    train = _train(examples)
    if sum(sizes) > tokens:
        problem = f"{sum(sizes)} tokens to train on, but the run that it has the tokens of has {tokens}"
        raise InputError("examples", problem, "a run with at least as many tokens", key="tokens_of")
    times, left = divmod(tokens, sum(sizes))
    more = []
    for place in _drawn(train, seed):
        left -= sizes[place]
        if left < 0:
            break
        more.append(place)
    return _repeated(examples, times, more)


def _train(examples: pd.DataFrame) -> pd.DataFrame:
    return examples[examples["role"] == TRAIN].reset_index(drop=True)


def _drawn(train: pd.DataFrame, seed: int) -> list[int]:
    """The places of the rows, in an order that the seed and the rows decide."""
    keys = train[["fact_id", "question"]].itertuples(index=False, name=None)
    order = pd.Series([seeded(seed, "repeat", *key) for key in keys], dtype=object).sort_values().index
    return [int(place) for place in order]


def _repeated(examples: pd.DataFrame, times: int, more: Sequence[int]) -> pd.DataFrame:
    """The rows to train on so many times, some of them once more, and then those to replay."""
    train = _train(examples)
    whole = [*[train] * times, train.loc[sorted(more)]]
    return pd.concat([*whole, examples[examples["role"] == REPLAY]], ignore_index=True)
