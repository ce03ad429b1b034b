"""Accuracy by epoch, on fixed prompts."""

import pandas as pd

from gradual.ground.errors import InputError
from gradual.knowledge.scoring import RULES, grade


def grade_epochs(generations: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Right or wrong under each scoring rule, a row per epoch and fact: epoch, split, fact_id, then the rules.

    The first answer of a fact counts (GL 4.1.1).
    """
    known = facts.set_index("fact_id")
    graded = grade(generations, known["answers"].str[0])
    graded["split"] = graded["fact_id"].map(known["split"])
    return graded[["epoch", "split", "fact_id", *RULES]].sort_values(["epoch", "split", "fact_id"], ignore_index=True)


def accuracy_by_epoch(grades: pd.DataFrame, scoring: str) -> pd.DataFrame:
    """n, right and accuracy (0..1) under the study's rule, and the accuracy under every rule, by epoch and split."""
    groups = grades.groupby(["epoch", "split"])
    table = groups[scoring].agg(n="size", right="sum", accuracy="mean")
    return table.join(groups[list(RULES)].mean().add_prefix("accuracy_")).reset_index()


def check_adapter_effect(generations: pd.DataFrame, parent: pd.DataFrame, run: str) -> None:
    """Raise InputError where every answer of an epoch equals the parent's: the adapter was not applied.

    A parent that is a run itself has several epochs; equality with any of them counts.
    """
    answers = [rows.set_index("fact_id")["text"].sort_index() for _, rows in parent.groupby("epoch")]
    for epoch, rows in generations.groupby("epoch"):
        after = rows.set_index("fact_id")["text"].sort_index()
        if any(after.equals(before) for before in answers):
            raise InputError(
                f"run {run}, epoch {epoch}",
                f"all {len(after)} answers equal those of its parent",
                "an adapter that changes at least one (was it loaded?)",
            )
