"""Gold answers: which of a fact's answers count as right."""

import pandas as pd

from gradual.ground.normal_form import normal_form

FIRST, ANY = "first", "any"
ANSWERS = (FIRST, ANY)  # the values of `answers` in the config


def golds(facts: pd.DataFrame, answers: str) -> pd.Series:
    """The gold answers of each fact, by fact_id: a tuple of texts in normal form, each once.

    `answers` says whether only the first answer of a fact counts (GL 4.1.1), or any of them. An answer without a visible
    character is left out, because it would occur in every output. So a tuple may be empty.
    """
    count = 1 if answers == FIRST else None
    forms = [dict.fromkeys(map(normal_form, listed[:count])) for listed in facts["answers"]]
    return pd.Series([tuple(filter(None, found)) for found in forms], index=facts["fact_id"], dtype=object)
