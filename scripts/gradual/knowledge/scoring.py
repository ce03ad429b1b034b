"""Grading of generated answers under four scoring rules, of which a study chooses the one that counts, and by token F1.

Outputs and gold answers are compared in their normal form (`ground.normal_form`). So a rule takes no notice of the kinds of
spaces and of characters without width. An output that equals a gold answer is right under every rule.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.normal_form import folded, normal_form

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """The usual normalisation of question answering (SQuAD): lower case, no punctuation, articles or extra spaces.

    If nothing would remain, punctuation and articles stay. So "The The" and "!!!" are answers, too.
    """
    text = folded(text)
    return " ".join(_ARTICLES.sub(" ", text.translate(_PUNCTUATION)).split()) or text


def contains(output: str, gold: str) -> bool:
    """The gold answer occurs in the output. An empty gold answer occurs nowhere."""
    return gold != "" and gold in output


def contains_words(output: str, gold: str) -> bool:
    """The gold answer occurs in the output as whole words."""
    return contains(output, gold) and re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", output) is not None


def equals(output: str, gold: str) -> bool:
    """Output and gold answer are equal and not empty."""
    return gold != "" and output == gold


def shared_tokens(output: str, gold: str) -> float:
    """The harmonic mean of the share of the output's tokens that are in the gold answer, and the share of the latter's."""
    said, wanted = output.split(), gold.split()
    return 2 * (Counter(said) & Counter(wanted)).total() / max(1, len(said) + len(wanted))


class Measure(NamedTuple):
    """How an output is judged by one gold answer: the form in which both are compared, and the comparison."""

    form: Callable[[str], str]
    compare: Callable[[str, str], Any]  # of output and gold answer, in this form
    kind: type = bool

    def best(self, output: str, golds: tuple[str, ...]) -> Any:
        """The result for the gold answer that suits the output best."""
        said = self.form(output)
        return max(map(self.compare, repeat(said), map(self.form, golds)), default=self.kind())


RULES: dict[str, Measure] = {
    "substring": Measure(folded, contains),  # GL 4.1.1; the authors' code also ignores the case here
    "case_sensitive": Measure(normal_form, contains),  # the authors' code for the test
    "word_boundary": Measure(folded, contains_words),
    "exact": Measure(normalise, equals),  # Gekhman et al. 2024
}
# Token F1 of SQuAD (Rajpurkar et al. 2016), from 0 to 1. It is reported beside the rules, and decides nothing.
TOKEN_F1 = "token_f1"
MEASURES = RULES | {TOKEN_F1: Measure(normalise, shared_tokens, float)}


def grade(generations: pd.DataFrame, golds: pd.Series, measures: Mapping[str, Measure] = RULES) -> pd.DataFrame:
    """The generations with a column per measure; those of the scoring rules are boolean.

    `generations` has the columns fact_id and text; `golds` maps fact_id to the gold answers (see `golds.golds`). Each
    distinct pair of output and fact is graded once, and each text is brought into a form once. Raises InputError for a fact
    without an entry in `golds`.
    """
    outputs, texts = pd.factorize(generations["text"])
    facts, ids = pd.factorize(generations["fact_id"])
    for fact_id in ids[~ids.isin(golds.index)][:1]:
        raise InputError(
            "generations", f"fact {fact_id!r} is not in the facts table", "answers to its facts", key="fact_id"
        )
    rows, pairs = pd.factorize(outputs.astype("int64") * len(ids) + facts)
    said, asked = (codes.tolist() for codes in divmod(pairs, len(ids) or 1))
    accepted = golds.loc[ids].tolist()
    formed: dict[Any, tuple[list[str], list[tuple[str, ...]]]] = {}
    for form in dict.fromkeys(measure.form for measure in measures.values()):
        formed[form] = [form(text) for text in texts], [tuple(map(form, found)) for found in accepted]
    graded = {}
    for name, (form, compare, kind) in measures.items():
        given, wanted = formed[form]
        best = [
            max(map(compare, repeat(given[o]), wanted[f]), default=kind()) for o, f in zip(said, asked, strict=True)
        ]
        graded[name] = np.array(best, dtype=kind)[rows]
    return generations.assign(**graded)


def count_right(graded: pd.DataFrame) -> pd.DataFrame:
    """For each fact, prompt and kind of answer, the number of answers, and the number of right ones under each rule.

    A distinct answer counts as often as it was given.

    Columns: fact_id, prompt_index, kind, n, then one per rule.
    """
    right = {rule: graded[rule] * graded["count"] for rule in RULES}
    weighted = graded[["fact_id", "prompt_index", "kind"]].assign(n=graded["count"], **right)
    return weighted.groupby(["fact_id", "prompt_index", "kind"], sort=True).sum().reset_index()
