"""Accuracy by epoch, on fixed prompts."""

import pandas as pd

from gradual.ground.errors import InputError
from gradual.knowledge.scoring import RULES, grade


def grade_epochs(generations: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Whether each answer is right under each scoring rule. An output is compared with the fact's first answer (GL 4.1.1).

    There is a row per epoch and fact. Columns: epoch, split, fact_id, then one per rule.
    """
    known = facts.set_index("fact_id")
    graded = grade(generations, known["answers"].str[0])
    graded["split"] = graded["fact_id"].map(known["split"])
    return graded[["epoch", "split", "fact_id", *RULES]].sort_values(["epoch", "split", "fact_id"], ignore_index=True)


def accuracy_by_epoch(grades: pd.DataFrame, scoring: str) -> pd.DataFrame:
    """By epoch and split: n, right and accuracy (0..1) under the study's rule, and accuracy_<rule> under every rule."""
    groups = grades.groupby(["epoch", "split"])
    table = groups[scoring].agg(n="size", right="sum", accuracy="mean")
    return table.join(groups[list(RULES)].mean().add_prefix("accuracy_")).reset_index()


def check_adapter_effect(generations: pd.DataFrame, parent: pd.DataFrame, run: str) -> None:
    """Raise InputError if all answers of an epoch equal the parent's, because then the adapter was not applied.

    If the parent is a run, it has several epochs, and the answers must differ from those of each epoch.
    """
    answers = [rows.set_index("fact_id")["text"].sort_index() for _, rows in parent.groupby("epoch")]
    for epoch, rows in generations.groupby("epoch"):
        after = rows.set_index("fact_id")["text"].sort_index()
        if any(after.equals(before) for before in answers):
            raise InputError(
                f"run {run}, epoch {epoch}",
                f"all {len(after)} answers equal those of its parent",
                "an adapter that changes at least one answer (was it loaded?)",
            )
