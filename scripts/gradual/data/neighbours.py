"""What else a facts table knows about the subject of a fact: statements on it, and chains of statements from it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradual.data.sentence_templates import STATEMENTS, state


class Neighbours:
    """The facts of a table by subject. Facts are named by their places in the table.

    `answers` has the answer of each fact, and `may` says which facts may be stated. A fact without a subject is not stated,
    nor is one whose relation has no templates of statements.
    """

    def __init__(self, facts: pd.DataFrame, answers: Sequence[str], may: np.ndarray) -> None:
        self.relations, self.subjects = facts["relation"].tolist(), facts["subject"].tolist()
        self.questions, self.answers = facts["question"].tolist(), list(answers)
        self._of: dict[str, list[int]] = {}
        for place in np.flatnonzero(may).tolist():
            if self.subjects[place] and self.relations[place] in STATEMENTS:
                self._of.setdefault(self.subjects[place], []).append(place)

    def others(self, place: int) -> list[int]:
        """The other facts about the subject of a fact."""
        return [other for other in self._of.get(self.subjects[place], []) if other != place]

    def chains(self, place: int) -> list[tuple[int, int]]:
        """Pairs of facts: another fact about the subject, and a fact about the answer of that fact.

        If some chains end with the answer of the fact itself, these are all.
        """
        found = [
            (first, second)
            for first in self.others(place)
            for second in self._of.get(self.answers[first], [])
            if self.subjects[second] != self.subjects[place]
        ]
        return [chain for chain in found if self.answers[chain[1]] == self.answers[place]] or found

    def told(self, places: Sequence[int], draws: Sequence[int]) -> str:
        """The facts as sentences. `draws` are random numbers, which choose their templates."""
        return " ".join(
            state(self.relations[p], self.subjects[p], self.questions[p], self.answers[p], draw)
            for p, draw in zip(places, draws, strict=True)
        )
