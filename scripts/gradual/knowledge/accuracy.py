"""Accuracy by epoch, on fixed prompts."""

import pandas as pd

from gradual.ground.errors import InputError
from gradual.knowledge.golds import golds
from gradual.knowledge.scoring import MEASURES, RULES, TOKEN_F1, grade


def grade_epochs(generations: pd.DataFrame, facts: pd.DataFrame, answers: str) -> pd.DataFrame:
    """Whether each answer is right under each scoring rule, and its token F1 (0..1). `answers` is the config's key.

    There is a row per epoch and fact. Columns: epoch, split, fact_id, then one per rule, and token_f1.
    """
    graded = grade(generations, golds(facts, answers), MEASURES)
    graded["split"] = graded["fact_id"].map(facts.set_index("fact_id")["split"])
    return graded[["epoch", "split", "fact_id", *MEASURES]].sort_values(
        ["epoch", "split", "fact_id"], ignore_index=True
    )


def accuracy_by_epoch(grades: pd.DataFrame, scoring: str) -> pd.DataFrame:
    """By epoch and split: n, right and accuracy (0..1) by the study's rule, accuracy_<rule> by every rule, and token_f1."""
    groups = grades.groupby(["epoch", "split"])
    table = groups[scoring].agg(n="size", right="sum", accuracy="mean")
    by_rule = groups[list(RULES)].mean().add_prefix("accuracy_")
    return table.join([by_rule, groups[TOKEN_F1].mean()]).reset_index()


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
