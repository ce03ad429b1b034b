"""Asking about a fact only until its category is settled. Only such a probe depends on the code of grading."""

import pandas as pd

from gradual.knowledge.scoring import RULES
from gradual.probe.answers import Answered, Asking


def until_settled(golds: pd.Series, scoring: str) -> Asking:
    """Ask about each fact until the answers settle its category under a scoring rule.

    One right and one wrong greedy answer make a fact MaybeKnown. Samples are drawn only if all greedy answers are wrong,
    and one right sample makes the fact WeaklyKnown. The other categories need all answers. So `categories.categorize`
    finds the same category as with all answers, but only under this rule. `golds` maps fact_id to the gold answers (see
    `golds.golds`).
    """
    right = RULES[scoring].best

    def greedy(answered: list[Answered]) -> list[bool]:
        return [right(a.greedy.text, golds[a.prompt.fact_id]) for a in answered]

    def wants_samples(answered: list[Answered]) -> bool:
        return not any(greedy(answered))

    def settled(answered: list[Answered]) -> bool:
        found = greedy(answered)
        if any(found):
            return not all(found)
        return any(right(sample.text, golds[a.prompt.fact_id]) for a in answered for sample in a.sampled)

    return Asking(wants_samples, settled)
