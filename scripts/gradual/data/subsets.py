"""Which facts of a dataset a study keeps, and which splits it takes out of train."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from gradual.data.facts import sort
from gradual.ground.errors import SHOWN, InputError, together
from gradual.ground.normal_form import folded, question_key
from gradual.ground.seeding import digest_of

FEW = "dataset.relations without them, or dataset.type_from: one_pool for questions without relations"


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
    faults = []
    for relation in relations:
        if relation not in known:
            near = difflib.get_close_matches(relation, known, 1)
            hint = f"one of {', '.join(known)}" + (f" (did you mean {near[0]!r}?)" if near else "")
            faults.append(InputError(file, f"has no relation {relation!r}", hint, key="dataset.relations"))
    if faults:
        raise together(faults)
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
    used_up = []
    for relation, ids in train.groupby("relation")["fact_id"]:
        order = _shuffled(ids, "carve", seed).index
        start = 0
        for split, share in shares.items():
            count = round(share * len(order))
            facts.loc[order[start : start + count], "split"] = split
            start += count
        if start >= len(order):
            used_up.append(f"{relation!r} has {len(order)}")
    if used_up:
        problem = f"too few train facts to carve {shares} from {len(used_up)} relations: {_listed(used_up)}"
        raise InputError(file, problem, FEW, key="dataset.carve")
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

    `keys` says which of these are compared. Two questions are the same as in `question_key`, and other texts as in
    `folded`.
    """
    test, train = facts["split"] == "test", facts["split"] == "train"
    drop = pd.Series(False, index=facts.index)
    for key in keys:
        if key == "answer":
            texts = facts["answers"].map(lambda answers: {folded(answer) for answer in answers})
        else:
            same = question_key if key == "question" else folded
            texts = facts[key].map(lambda text, same=same: {same(text)} - {""})
        seen = set().union(*texts[test])
        drop |= ~texts.map(seen.isdisjoint).astype(bool)
    return facts[~(train & drop)].reset_index(drop=True)


def check_exemplars(facts: pd.DataFrame, split: str, shots: int, file: object) -> None:
    """Raise InputError unless every relation has `shots` exemplars in the split besides the fact that is asked about.

    Questions that differ only as `question_key` says are one exemplar, because a prompt does not show the asked question.
    """
    asked = sorted(facts.loc[facts["split"] != "support", "relation"].unique())
    shown = facts[facts["split"] == split]
    have = shown["question"].map(question_key).groupby(shown["relation"]).nunique().reindex(asked, fill_value=0)
    if few := [f"{relation!r} has {count}" for relation, count in have.items() if count < shots + 1]:
        problem = f"{len(few)} of {len(asked)} relations have too few questions in split {split!r}: {_listed(few)}"
        raise InputError(
            file, problem, f"at least {shots + 1} (one more than probe.shots), fewer probe.shots, {FEW}", key="relation"
        )


def _listed(words: list[str]) -> str:
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")
