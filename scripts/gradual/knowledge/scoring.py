"""Grading of generated answers under four scoring rules. A study chooses the rule that counts."""

import re
import string
import unicodedata
from collections.abc import Callable

import pandas as pd

from gradual.ground.errors import InputError

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def substring(output: str, answer: str) -> bool:
    """The answer occurs in the output, case-folded (GL 4.1.1; the authors' code also ignores the case here)."""
    return answer.casefold() in output.casefold()


def case_sensitive(output: str, answer: str) -> bool:
    """The answer occurs in the output, with the same case (the authors' code for the test)."""
    return answer in output


def word_boundary(output: str, answer: str) -> bool:
    """The answer occurs in the output, case-folded, as whole words."""
    return re.search(rf"(?<!\w){re.escape(answer.casefold())}(?!\w)", output.casefold()) is not None


def normalise(text: str) -> str:
    """The usual normalisation of question answering (SQuAD): lower case, no punctuation, articles or extra spaces."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact(output: str, answer: str) -> bool:
    """Output and answer are equal after normalisation (Gekhman et al. 2024)."""
    return normalise(output) == normalise(answer)


RULES: dict[str, Callable[[str, str], bool]] = {
    rule.__name__: rule for rule in (substring, case_sensitive, word_boundary, exact)
}


def grade(generations: pd.DataFrame, answers: pd.Series) -> pd.DataFrame:
    """The generations with a boolean column per scoring rule.

    `generations` has the columns fact_id and text; `answers` maps fact_id to the gold answer. Each distinct pair of
    output and answer is graded once. Raises InputError for a fact without a gold answer.
    """
    pairs = pd.DataFrame({"output": generations["text"], "answer": generations["fact_id"].map(answers)})
    for fact_id in generations["fact_id"][pairs["answer"].isna()].unique()[:1]:
        raise InputError(
            "generations", f"fact {fact_id!r} is not in the facts table", "answers to its facts", key="fact_id"
        )
    distinct = pairs.drop_duplicates()
    graded = {
        name: [rule(o, a) for o, a in zip(distinct["output"], distinct["answer"], strict=True)]
        for name, rule in RULES.items()
    }
    merged = pairs.merge(distinct.assign(**graded), on=["output", "answer"], how="left")
    merged.index = generations.index
    return generations.assign(**{name: merged[name].astype(bool) for name in RULES})


def count_right(graded: pd.DataFrame) -> pd.DataFrame:
    """For each fact, prompt and kind of answer, the number of answers, and the number of right ones under each rule.

    A distinct answer counts as often as it was given.

    Columns: fact_id, prompt_index, kind, n, then one per rule.
    """
    right = {rule: graded[rule] * graded["count"] for rule in RULES}
    weighted = graded[["fact_id", "prompt_index", "kind"]].assign(n=graded["count"], **right)
    return weighted.groupby(["fact_id", "prompt_index", "kind"], sort=True).sum().reset_index()
