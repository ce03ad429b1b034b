"""Alignment: whether a sampled answer agrees with the answer that a run trains on, its target."""

from collections.abc import Callable

from gradual.ground.normal_form import normal_form
from gradual.knowledge.scoring import RULES

Judge = Callable[[str, str], bool]  # of a sample and its target


def by_scoring(scoring: str) -> Judge:
    """A sample is aligned if it is right by the study's scoring rule, with the target as the gold answer."""
    right = RULES[scoring].best

    def aligned(sample: str, target: str) -> bool:
        gold = normal_form(target)  # without a visible character, it would occur in every sample
        return right(sample, (gold,) if gold else ())

    return aligned


# The judges of samples by name. Each is made from the study's scoring rule.
ALIGNMENTS: dict[str, Callable[[str], Judge]] = {"scoring": by_scoring}
