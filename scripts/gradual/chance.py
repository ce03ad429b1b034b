"""How often WeaklyKnown is luck: the sampled answers to one fact, held against the answer of another."""

import pandas as pd

from gradual.grading import RULES
from gradual.knowledge import UNKNOWN, WEAKLY
from gradual.prompts import seeded

PARTNERS = 20  # other facts that a fact's answer is held against


def chance_rates(sampled: pd.DataFrame, facts: pd.DataFrame, categories: pd.DataFrame, rule: str) -> pd.DataFrame:
    """By relation: facts without a right greedy answer, how many of them are WeaklyKnown, and the chance rate.

    `sampled` has the columns fact_id and text (sampled answers); `categories` fact_id and category. The chance rate is the
    probability that the sampled answers to another such fact of the relation, one with another answer, hold the fact's
    answer: what WeaklyKnown would be of facts of which the model knows no more than the type of the answer. Each fact is
    held against up to PARTNERS others. Columns: relation, facts, weakly_known, chance (0..1, NaN without a partner).
    """
    unsolved = categories[categories["category"].isin([WEAKLY, UNKNOWN])]
    known = facts.set_index("fact_id")
    texts = sampled.groupby("fact_id")["text"].unique()
    right = RULES[rule]
    rows = []
    table = unsolved.assign(relation=unsolved["fact_id"].map(known["relation"]))
    for relation, group in table.groupby("relation"):
        ids = sorted(group["fact_id"], key=lambda fact_id: seeded("chance", fact_id))
        answers = {fact_id: known.at[fact_id, "answers"][0] for fact_id in ids}
        rates = []
        for i, fact_id in enumerate(ids):
            others = [*ids[i + 1 :], *ids[:i]][: 2 * PARTNERS]
            partners = [other for other in others if answers[other] != answers[fact_id]][:PARTNERS]
            if partners:
                hits = [any(right(text, answers[fact_id]) for text in texts.get(other, ())) for other in partners]
                rates.append(sum(hits) / len(hits))
        rows.append(
            {
                "relation": relation,
                "facts": len(ids),
                "weakly_known": int((group["category"] == WEAKLY).sum()),
                "chance": sum(rates) / len(rates) if rates else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=["relation", "facts", "weakly_known", "chance"])
