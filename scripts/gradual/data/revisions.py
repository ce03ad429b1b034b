"""Revisions: facts whose answers change again and again, and the groups of facts that are trained on or asked about.

The setting is that of Guan et al. 2025 (MS), whose edited answers are not published. So the rules of the draws are ours
(`data.revision_draws`). Revision 0 of a fact is its own first answer. A sequence of stages trains on facts that it revises
(REVISED) and on facts whose answers stay (KEPT), and no run trains on the UNRELATED facts. With domains, each domain has
facts of its own (OWN), and facts of the domain before it whose answers it changes (CONFLICTING). The first domain has no
conflicting facts.
"""

from pathlib import Path

import pandas as pd

from gradual.data.cells import is_id, is_number, is_text, lacking, refuse
from gradual.ground.files import read_parquet

REVISION_COLUMNS = ("fact_id", "revision", "answer")
GROUP_COLUMNS = ("fact_id", "domain", "role")
REVISED, KEPT, UNRELATED, OWN, CONFLICTING = "revised", "kept", "unrelated", "own", "conflicting"
ROLES = (REVISED, KEPT, UNRELATED, OWN, CONFLICTING)
NO_DOMAIN = ""  # the domain of facts that belong to none


def answers_at(revisions: pd.DataFrame, revision: int | None = None) -> pd.Series:
    """The answer of each fact that is valid at a revision, by fact_id; None stands for the latest one.

    A fact that does not change at a revision keeps its answer of the revision before.
    """
    so_far = revisions if revision is None else revisions[revisions["revision"] <= revision]
    return so_far.sort_values(["fact_id", "revision"]).groupby("fact_id")["answer"].last()


def read_revisions(path: Path | str) -> pd.DataFrame:
    """The revisions of a Parquet file. Raises InputError, with row and key, for what no rule here writes."""
    revisions = read_parquet(path, "the revisions of facts", REVISION_COLUMNS)
    refuse(revisions, lacking(revisions["fact_id"], is_id), path, "fact_id", "16 hex digits")
    refuse(revisions, lacking(revisions["revision"], is_number), path, "revision", "an integer from 0")
    refuse(revisions, lacking(revisions["answer"], is_text), path, "answer", "a text that is not empty")
    twice = revisions.duplicated(["fact_id", "revision"])
    refuse(revisions, twice, path, "revision", "each revision of a fact once")
    first = set(revisions.loc[revisions["revision"] == 0, "fact_id"])
    refuse(revisions, ~revisions["fact_id"].isin(first), path, "fact_id", "a fact that also has its revision 0")
    return revisions


def read_groups(path: Path | str) -> pd.DataFrame:
    """The groups of a Parquet file. Raises InputError, with row and key, for what no rule here writes."""
    groups = read_parquet(path, "the groups of facts", GROUP_COLUMNS)
    refuse(groups, lacking(groups["fact_id"], is_id), path, "fact_id", "16 hex digits")
    refuse(groups, lacking(groups["domain"], lambda v: isinstance(v, str)), path, "domain", "a name, or an empty text")
    refuse(groups, ~groups["role"].isin(ROLES), path, "role", f"one of {', '.join(ROLES)}")
    refuse(groups, groups.duplicated(["fact_id", "domain"]), path, "fact_id", "a fact once in a domain")
    return groups
