"""How often a fact is WeaklyKnown by chance. The sampled answers to one fact are compared with another fact's answer."""

import pandas as pd

from gradual.ground.seeding import seeded
from gradual.knowledge.categories import UNKNOWN, WEAKLY
from gradual.knowledge.scoring import RULES
from gradual.probe.generations import GREEDY, SAMPLED

PARTNERS = 20  # at most so many other facts are compared with a fact


def chance_rates(generations: pd.DataFrame, facts: pd.DataFrame, categories: pd.DataFrame, rule: str) -> pd.DataFrame:
    """For each relation, the facts without a right greedy answer, how many are WeaklyKnown, and the chance rate.

    `generations` has the columns fact_id, kind and text, and `categories` has fact_id and category. Each fact is compared
    with up to PARTNERS others of its relation that also have no right greedy answer. A partner has another gold answer,
    and its greedy answers do not contain the fact's answer, because such a fact would be MaybeKnown. The chance rate is
    the share of partners whose sampled answers contain the fact's answer, averaged over the facts. It estimates the share
    of WeaklyKnown facts if the model knew only the relation of each fact.
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
