"""Frequent answers: what a state can answer without knowing the fact, from the answers of the relation's train facts.

The majority answer of a relation is the most frequent answer of its train facts. An answer is frequent if at least a
given share of these facts have it, and at least LEAST of them. A train fact counts for the first of its gold answers. The
majority answer itself is not frequent if too few facts have it.

The gold of a fact is frequent if one of its relation's frequent answers is right, and else rare. So a state that says
nothing but frequent answers has no fact with a rare gold right.
"""

import pandas as pd

from gradual.data.train_answers import count_answers
from gradual.knowledge.golds import golds
from gradual.knowledge.scoring import RULES, grade

LEAST = 2  # an answer that only one fact has is not frequent, however few facts its relation has


def train_answers(facts: pd.DataFrame, answers: str) -> pd.DataFrame:
    """The distinct answers of each relation's train facts. `answers` is the config's key.

    The answers are in normal form. Columns and order are those of `count_answers`.
    """
    train = facts[facts["split"] == "train"]
    return count_answers(train.assign(answer=[found[0] if found else None for found in golds(train, answers)]))


def majority_answers(facts: pd.DataFrame, answers: str) -> pd.Series:
    """The most frequent train answer of each relation that has train facts, by relation."""
    return train_answers(facts, answers).drop_duplicates("relation").set_index("relation")["answer"]


def majority_right(facts: pd.DataFrame, rule: str, answers: str) -> pd.Series:
    """Whether its relation's majority answer is right (bool), by test fact.

    `rule` and `answers` are the config's keys scoring and answers. False for a fact of a relation that train lacks.
    """
    said = majority_answers(facts, answers).rename("answer").reset_index()
    return _right(facts[facts["split"] == "test"], said, rule, answers)


def majority_said(texts: pd.Series, facts: pd.DataFrame, rule: str, answers: str) -> pd.Series:
    """Whether an answer is its relation's majority answer (bool), by fact. `texts` has the answers by fact_id."""
    relations = facts.set_index("fact_id")["relation"].loc[texts.index]
    majority = relations.map(majority_answers(facts, answers))
    given = pd.Series([(text,) if isinstance(text, str) else () for text in majority], index=texts.index, dtype=object)
    said = pd.DataFrame({"fact_id": texts.index, "text": texts.to_numpy()})
    return grade(said, given, {rule: RULES[rule]}).set_index("fact_id")[rule]


def frequent_golds(facts: pd.DataFrame, rule: str, answers: str, share: float) -> pd.Series:
    """Whether the gold of a fact is frequent (bool), by fact. If not, it is rare, as in a relation that train lacks.

    `share` is the share of a relation's train facts from which on an answer is frequent.
    """
    found = train_answers(facts, answers)
    return _right(facts, found[(found["share"] >= share) & (found["n"] >= LEAST)], rule, answers)


def _right(facts: pd.DataFrame, said: pd.DataFrame, rule: str, answers: str) -> pd.Series:
    """Whether one of the answers that are said to its relation is right (bool), by fact. `said`: relation and answer."""
    tried = facts[["fact_id", "relation"]].merge(said[["relation", "answer"]], on="relation")
    graded = grade(tried.rename(columns={"answer": "text"}), golds(facts, answers), {rule: RULES[rule]})
    return graded.groupby("fact_id")[rule].any().reindex(facts["fact_id"], fill_value=False).astype(bool)
