"""Grades against every revision: which of the answers that a fact had or will have is in the answer of a state."""

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.normal_form import normal_form
from gradual.knowledge.scoring import RULES, grade

GRADE_COLUMNS = ("fact_id", "wording", "revision", "right", "text")


def grade_revisions(
    generations: pd.DataFrame, facts: pd.DataFrame, revisions: pd.DataFrame, scoring: str
) -> pd.DataFrame:
    """Whether each answer is right by the answer of each revision of its fact, under a scoring rule.

    `generations` has the columns wording, fact_id and text. There is a row per fact, wording and revision, in this order.
    Columns: GRADE_COLUMNS. Raises InputError for a fact that is not in the facts table or has no revision.
    """
    known = set(facts["fact_id"])
    for fact_id in generations["fact_id"]:
        if fact_id not in known:
            raise InputError("generations", f"fact {fact_id} is not in the facts table", "its facts", key="fact_id")
    answers = revisions.pivot(index="fact_id", columns="revision", values="answer")
    missing = generations["fact_id"][~generations["fact_id"].isin(answers.index)]
    if len(missing):
        raise InputError("revisions", f"fact {missing.iloc[0]} has none", "every fact of the groups", key="fact_id")
    measure = {scoring: RULES[scoring]}
    graded = []
    for revision in answers.columns:
        there = answers[revision].dropna()
        golds = there.map(lambda answer: (normal_form(answer),))
        rows = grade(generations[generations["fact_id"].isin(there.index)], golds, measure)
        graded.append(rows.rename(columns={scoring: "right"}).assign(revision=revision))
    whole = pd.concat(graded).sort_values(["fact_id", "wording", "revision"], ignore_index=True)
    return whole[list(GRADE_COLUMNS)]


def check_answers_changed(generations: pd.DataFrame, parent: pd.DataFrame, run: str) -> None:
    """Raise InputError if all answers equal the parent's, because then the adapter was not applied.

    Both have the columns wording, fact_id and text.
    """
    after, before = (rows.set_index(["wording", "fact_id"])["text"].sort_index() for rows in (generations, parent))
    if after.equals(before):
        problem = f"all {len(after)} answers equal those of its parent"
        raise InputError(f"run {run}", problem, "an adapter that changes at least one answer (was it loaded?)")
