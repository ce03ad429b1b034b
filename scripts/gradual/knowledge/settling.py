"""Asking about a fact until its category is settled. Such a probe, and no other one, depends on the code that grades."""

import pandas as pd

from gradual.knowledge.scoring import RULES
from gradual.probe.answers import Answered, Asking


def until_settled(answers: pd.Series, scoring: str) -> Asking:
    """Ask about each fact until the answers settle its category under a scoring rule.

    A right and a wrong greedy answer make a fact MaybeKnown, whatever follows. Where all greedy answers are wrong, and only
    there, samples are drawn, and a right one makes it WeaklyKnown. HighlyKnown and Unknown (without samples: neither Highly
    nor MaybeKnown) are settled by the last answer. So `knowledge.categorize` finds the same category as with all answers,
    under this rule and no other. `answers` maps fact_id to the gold answer, as for `grading.grade`.
    """
    right = RULES[scoring]

    def greedy(answered: list[Answered]) -> list[bool]:
        return [right(a.greedy.text, answers[a.prompt.fact_id]) for a in answered]

    def wants_samples(answered: list[Answered]) -> bool:
        return not any(greedy(answered))

    def settled(answered: list[Answered]) -> bool:
        found = greedy(answered)
        if any(found):
            return not all(found)
        return any(right(sample.text, answers[a.prompt.fact_id]) for a in answered for sample in a.sampled)

    return Asking(wants_samples, settled)
