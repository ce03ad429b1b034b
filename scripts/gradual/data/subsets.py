"""Which facts of a dataset a study keeps, and which splits it takes out of train."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from gradual.data.facts import sort
from gradual.ground.errors import InputError
from gradual.ground.seeding import digest_of


def keep(facts: pd.DataFrame, dataset: Mapping[str, Any], seed: int, file: object) -> pd.DataFrame:
    """The facts that a study keeps of a whole dataset; `dataset` is the config's section, and errors name `file`.

    Raises InputError for a relation that the data do not have, and for shares that cannot be carved.
    """
    if dataset["relations"]:
        facts = keep_relations(facts, dataset["relations"], file)
    facts = single_answer(facts, dataset["single_answer"])
    facts = carve(facts, dataset["carve"], seed, file)
    facts = drop_overlap(facts, dataset["drop_overlap"])
    return sample(facts, dataset["max_facts"], seed)


def single_answer(facts: pd.DataFrame, splits: Iterable[str]) -> pd.DataFrame:
    """The facts without those of the given splits that have several answers, even equal ones (GL 4.1.1)."""
    several = facts["split"].isin(list(splits)) & (facts["answers"].str.len() != 1)
    return facts[~several].reset_index(drop=True)


def keep_relations(facts: pd.DataFrame, relations: list[str], file: object) -> pd.DataFrame:
    """Only the facts of the relations. Raises InputError where the data have no such relation."""
    known = sorted(facts["relation"].unique())
    for relation in relations:
        if relation not in known:
            near = difflib.get_close_matches(relation, known, 1)
            hint = f"one of {', '.join(known)}" + (f" (did you mean {near[0]!r}?)" if near else "")
            raise InputError(file, f"has no relation {relation!r}", hint, key="dataset.relations")
    return facts[facts["relation"].isin(relations)].reset_index(drop=True)


def _shuffled(ids: pd.Series, *key: object) -> pd.Series:
    """The ids in a seeded order that does not depend on the order in which they come."""
    return ids.loc[ids.map(lambda fact_id: digest_of(*key, fact_id)).sort_values().index]


def carve(facts: pd.DataFrame, shares: dict[str, float], seed: int, file: object) -> pd.DataFrame:
    """Move a share of each relation's train facts to each of the named splits; the ids do not change.

    Raises InputError where a split already exists or would be empty, the shares reach 1, or a relation would have no train
    facts.
    """
    if not shares:
        return facts
    if sum(shares.values()) >= 1:
        raise InputError(file, f"the shares {shares} leave no train facts", "a sum below 1", key="dataset.carve")
    for split in shares:
        if split in set(facts["split"]):
            raise InputError(
                file, f"the data already has a split {split!r}", "a new split", key=f"dataset.carve.{split}"
            )
    facts = facts.copy()
    train = facts[facts["split"] == "train"]
    for relation, ids in train.groupby("relation")["fact_id"]:
        order = _shuffled(ids, "carve", seed).index
        start = 0
        for split, share in shares.items():
            count = round(share * len(order))
            facts.loc[order[start : start + count], "split"] = split
            start += count
        if start >= len(order):
            raise InputError(file, f"relation {relation!r} has {len(order)} facts", "more facts", key="dataset.carve")
    for split in shares:
        if split not in set(facts["split"]):
            problem = f"a share of {shares[split]} gives no facts of any relation"
            raise InputError(file, problem, "a larger share or more facts", key=f"dataset.carve.{split}")
    return sort(facts)


def sample(facts: pd.DataFrame, max_facts: dict[str, int], seed: int) -> pd.DataFrame:
    """At most `max_facts` facts of each named split, drawn by the seed and not by the order of the rows."""
    kept = [
        group.loc[_shuffled(group["fact_id"], "sample", seed).index[: max_facts.get(split, len(group))]]
        for split, group in facts.groupby("split")
    ]
    return sort(pd.concat(kept))


def drop_overlap(facts: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """The facts without the train facts that share a question, subject or answer with a test fact (Gekhman et al. 2024).

    `keys` says which of these are compared. They are compared case-folded.
    """
    test, train = facts[facts["split"] == "test"], facts["split"] == "train"
    drop = pd.Series(False, index=facts.index)
    for key in keys:
        if key == "answer":
            seen = {a.casefold() for answers in test["answers"] for a in answers}
            drop |= facts["answers"].map(lambda answers, seen=seen: any(a.casefold() in seen for a in answers))
        else:
            seen = set(test[key].str.casefold()) - {""}
            drop |= facts[key].str.casefold().isin(seen)
    return facts[~(train & drop)].reset_index(drop=True)


def check_exemplars(facts: pd.DataFrame, split: str, shots: int, file: object) -> None:
    """Raise InputError unless every relation has `shots` exemplars in the split besides the fact that is asked about."""
    asked = facts[facts["split"] != "support"]
    shown = facts[facts["split"] == split].groupby("relation")["question"].nunique()
    for relation in sorted(asked["relation"].unique()):
        if (have := int(shown.get(relation, 0))) < shots + 1:
            problem = f"relation {relation!r} has {have} questions in split {split!r}"
            expected = f"at least {shots + 1} (one more than probe.shots), or dataset.relations without it"
            raise InputError(file, problem, expected, key="relation")
