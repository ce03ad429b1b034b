"""The facts that a run trains on and may replay, selected by their roles in the groups of facts."""

from collections.abc import Collection, Sequence

import pandas as pd

from gradual.data.revisions import CONFLICTING, OWN
from gradual.ground.errors import InputError
from gradual.knowledge.selection_roles import REPLAY, TRAIN

IN_DOMAINS = (OWN, CONFLICTING)  # the roles that a fact has in a domain


def facts_with(groups: pd.DataFrame, roles: Collection[str], domain: str) -> list[str]:
    """The facts of the groups with these roles, sorted. Own and conflicting facts are of the domain, or of any ("")."""
    there = ~groups["role"].isin(IN_DOMAINS) | (groups["domain"] == domain) | (not domain)
    here = groups["role"].isin(list(roles)) & there
    return sorted(set(groups.loc[here, "fact_id"]))


def select_groups(
    groups: pd.DataFrame, roles: Sequence[str], domain: str, replayed: Sequence[str], run: str
) -> pd.DataFrame:
    """The facts with these roles, and the replay pool. Columns: fact_id, role ("train" | "replay").

    `groups` has the columns fact_id, domain and role, with the domains in the order of their stages. Facts are own or
    conflicting in the domain `domain`, or in any (""). The replay pool has the facts with the roles `replayed`, in the
    domains before this one, without those to train on. Without a domain, they are those of all domains. In the result,
    each role is sorted by fact_id. Raises InputError if no fact has the roles.
    """
    chosen = facts_with(groups, roles, domain)
    if not chosen:
        found = groups.groupby(["domain", "role"]).size().to_dict()
        named = f"no fact is {' or '.join(roles)}" + (f" in the domain {domain!r}" if domain else "")
        raise InputError(f"run {run}", named, f"some; the groups are {found}", key="facts")
    to_come = (groups["domain"] == domain).cummax() & groups["role"].isin(IN_DOMAINS) & bool(domain)
    pool = sorted(set(groups.loc[groups["role"].isin(replayed) & ~to_come, "fact_id"]) - set(chosen))
    if replayed and not pool:
        raise InputError(f"run {run}", f"no other fact is {' or '.join(replayed)}", "facts to replay", key="replay")
    rows = [(fact_id, TRAIN) for fact_id in chosen] + [(fact_id, REPLAY) for fact_id in pool]
    return pd.DataFrame(rows, columns=["fact_id", "role"])
