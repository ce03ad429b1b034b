"""How often WeaklyKnown is luck: the sampled answers to one fact, held against the answer of another."""

import pandas as pd

from gradual.ground.seeding import seeded
from gradual.knowledge.categories import UNKNOWN, WEAKLY
from gradual.knowledge.scoring import RULES
from gradual.probe.generations import GREEDY, SAMPLED

PARTNERS = 20  # other facts that a fact's answer is held against


def chance_rates(generations: pd.DataFrame, facts: pd.DataFrame, categories: pd.DataFrame, rule: str) -> pd.DataFrame:
    """By relation: facts without a right greedy answer, how many of them are WeaklyKnown, and the chance rate.

    `generations` has the columns fact_id, kind and text; `categories` fact_id and category. The chance rate is the
    probability that the sampled answers to another such fact of the relation hold the fact's answer, where that one's own
    answer is another and its greedy answers do not hold it (a fact so answered would be MaybeKnown): what WeaklyKnown would
    be of facts of which the model knows no more than of each other. Each fact is held against up to PARTNERS others.
    Columns: relation, facts, weakly_known, chance (0..1, NaN without a partner).
    """
    unsolved = categories[categories["category"].isin([WEAKLY, UNKNOWN])]
    known = facts.set_index("fact_id")
    said = {kind: rows.groupby("fact_id")["text"].unique() for kind, rows in generations.groupby("kind")}
    greedy, sampled = (said.get(kind, pd.Series(dtype=object)) for kind in (GREEDY, SAMPLED))

    def holds(texts: pd.Series, fact_id: str, answer: str) -> bool:
        return any(RULES[rule](text, answer) for text in texts.get(fact_id, ()))

    rows = []
    table = unsolved.assign(relation=unsolved["fact_id"].map(known["relation"]))
    for relation, group in table.groupby("relation"):
        ids = sorted(group["fact_id"], key=lambda fact_id: seeded("chance", fact_id))
        answers = {fact_id: known.at[fact_id, "answers"][0] for fact_id in ids}
        rates = []
        for i, fact_id in enumerate(ids):
            others = [*ids[i + 1 :], *ids[:i]][: 2 * PARTNERS]
            answer = answers[fact_id]
            partners = [o for o in others if answers[o] != answer and not holds(greedy, o, answer)][:PARTNERS]
            if partners:
                rates.append(sum(holds(sampled, other, answer) for other in partners) / len(partners))
        rows.append(
            {
                "relation": relation,
                "facts": len(ids),
                "weakly_known": int((group["category"] == WEAKLY).sum()),
                "chance": sum(rates) / len(rates) if rates else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=["relation", "facts", "weakly_known", "chance"])
