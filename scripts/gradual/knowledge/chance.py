"""How often a fact is WeaklyKnown by chance. The sampled answers to one fact are compared with another fact's answer."""

from itertools import islice

import pandas as pd

from gradual.ground.seeding import seeded
from gradual.knowledge.categories import UNKNOWN, WEAKLY
from gradual.knowledge.golds import golds
from gradual.knowledge.scoring import RULES
from gradual.probe.generations import GREEDY, SAMPLED

PARTNERS = 20  # at most so many other facts are compared with a fact


def chance_rates(
    generations: pd.DataFrame, facts: pd.DataFrame, categories: pd.DataFrame, rule: str, answers: str
) -> pd.DataFrame:
    """For each relation, the facts without a right greedy answer, how many are WeaklyKnown, and the chance rate.

    `generations` has the columns fact_id, kind and text, and `categories` has fact_id and category. `rule` and `answers`
    are the config's keys scoring and answers. Each fact is compared with up to PARTNERS others of its relation that also
    have no right greedy answer. A partner shares no gold answer with the fact, and its greedy answers do not contain the
    fact's answer, because such a fact would be MaybeKnown. The chance rate is the share of partners whose sampled answers
    contain the fact's answer, averaged over the facts. It estimates the share of WeaklyKnown facts if the model knew only
    the relation of each fact.
    Columns: relation, facts, weakly_known, chance (0..1, NaN without a partner).
    """
    unsolved = categories[categories["category"].isin([WEAKLY, UNKNOWN])]
    relations, (form, compare, _) = facts.set_index("fact_id")["relation"], RULES[rule]
    forms = {text: form(text) for text in generations["text"].unique()}
    formed = generations.assign(form=generations["text"].map(forms))
    said = {kind: rows.groupby("fact_id")["form"].unique() for kind, rows in formed.groupby("kind")}
    accepted = {fact_id: {form(gold) for gold in found} for fact_id, found in golds(facts, answers).items()}
    greedy, sampled = (said.get(kind, pd.Series(dtype=object)) for kind in (GREEDY, SAMPLED))

    def holds(texts: pd.Series, other: str, fact_id: str) -> bool:
        return any(compare(text, gold) for text in texts.get(other, ()) for gold in accepted[fact_id])

    rows = []
    table = unsolved.assign(relation=unsolved["fact_id"].map(relations))
    for relation, group in table.groupby("relation"):
        ids = sorted(group["fact_id"], key=lambda fact_id: seeded("chance", fact_id))
        rates = []
        for i, fact_id in enumerate(ids):
            others = [*ids[i + 1 :], *ids[:i]][: 2 * PARTNERS]
            differing = (o for o in others if accepted[o].isdisjoint(accepted[fact_id]))
            partners = list(islice((o for o in differing if not holds(greedy, o, fact_id)), PARTNERS))
            if partners:
                rates.append(sum(holds(sampled, other, fact_id) for other in partners) / len(partners))
        rows.append(
            {
                "relation": relation,
                "facts": len(ids),
                "weakly_known": int((group["category"] == WEAKLY).sum()),
                "chance": sum(rates) / len(rates) if rates else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=["relation", "facts", "weakly_known", "chance"])
