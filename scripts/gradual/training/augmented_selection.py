"""Which augmented questions a run trains on: a random share, or those with the most information that the parent agrees on.

Guan et al. 2025 print a mutual information without the total count, which prefers unrelated texts. Here it is the mean
pointwise mutual information, with the total count, of the words of a question and the words that were written about it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import log

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.normal_form import folded
from gradual.ground.seeding import seeded
from gradual.knowledge.selection_roles import REPLAY, TRAIN
from gradual.training.augment_settings import TEMPLATES, Keep
from gradual.training.augmentation import usable
from gradual.training.examples import EXAMPLE_COLUMNS

WORD = re.compile(r"\w+")


def information(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The mean pointwise mutual information of each pair of a question and what was written about it, over all pairs.

    A word counts once in a text. N(v, w) is the number of pairs with v in the question and w in what was written, N(v) and
    N(w) are the numbers of pairs with one of them, and N is the number of all pairs. The value of a pair is the mean of
    log(N N(v, w) / (N(v) N(w))) over its words v and w; -inf where a text has no word.
    """
    words = [(sorted({*WORD.findall(folded(x))}), sorted({*WORD.findall(folded(y))})) for x, y in pairs]
    asked, written = Counter(v for left, _ in words for v in left), Counter(w for _, right in words for w in right)
    joint = Counter(both for left, right in words for both in product(left, right))

    def mean(left: list[str], right: list[str]) -> float:
        values = [log(len(words) * joint[v, w] / (asked[v] * written[w])) for v, w in product(left, right)]
        return sum(values) / len(values) if values else float("-inf")

    return [mean(left, right) for left, right in words]


def keep_rows(augmented: pd.DataFrame, keep: Keep, seed: int) -> pd.DataFrame:
    """The usable rows that a run keeps, in their order, from all its augmented rows.

    A random share is drawn by the seed and the rows, in the same order for every share. So a quarter is a part of the half.
    The share with the most information is of all usable rows, and has as many rows as a random share. Of these, `agreement`
    keeps the rows to which the parent gives the same answer as to the question they come from.
    """
    rows = augmented[usable(augmented)].reset_index(drop=True)
    keys = rows[["way", "fact_id", "question"]].itertuples(index=False, name=None)
    order = pd.Series([seeded(seed, "keep", *key) for key in keys], index=rows.index, dtype=object)
    kept = rows.index
    if keep.random is not None:
        kept = order.sort_values().index[: round(keep.random * len(rows))]
    if keep.information is not None:
        values = information(list(zip(rows["question"], rows["written"], strict=True)))
        ranked = pd.DataFrame({"value": [-value for value in values], "order": order})
        kept = ranked.sort_values(["value", "order"]).index[: round(keep.information * len(rows))]
    found = rows.loc[sorted(kept)]
    return found[found["agrees"].astype(bool)] if keep.agreement else found


def add_augmented(own: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """A run's own examples and the augmented rows that it keeps, rows to train on first.

    An augmented row has the answer of the example that it comes from. Its source is its way, and says so where templates
    made it. Raises InputError where no row is kept, or a row comes from no example.
    """
    if not len(kept):
        expected = "at least one (see augmented.csv, or keep more)"
        raise InputError("augmented questions", "no row may be trained on", expected, key="augment")
    train = own[own["role"] == TRAIN]
    answers = dict(zip(zip(train["fact_id"], train["question"], strict=True), train["answer"], strict=True))
    keys = list(zip(kept["fact_id"], kept["question"], strict=True))
    if unknown := [key for key in keys if key not in answers]:
        problem = f"a row about {unknown[0][1]!r}, which is no example"
        raise InputError("augmented questions", problem, "rows about the run's own examples", key="question")
    sources = [
        f"{way} by {made_by}" if made_by == TEMPLATES else way
        for way, made_by in zip(kept["way"], kept["made_by"], strict=True)
    ]
    rows = kept[["fact_id"]].assign(
        role=TRAIN, question=kept["augmented"], answer=[answers[key] for key in keys], source=sources
    )
    return pd.concat([train, rows[list(EXAMPLE_COLUMNS)], own[own["role"] == REPLAY]], ignore_index=True)
