"""The graph of entities behind GL Table 5, and what chance would make of it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd


class Links(NamedTuple):
    """Nodes of the graph: those of the initial facts, the others of the reclassified facts, and the linked of these."""

    initial: int
    reclassified: int
    linked: int

    @property
    def share(self) -> float:
        """Linked over reclassified nodes; NaN where nothing is reclassified."""
        return self.linked / self.reclassified if self.reclassified else float("nan")


class Null(NamedTuple):
    """The shares of linked nodes among facts drawn at random, and the p-value of the observed share against them."""

    shares: np.ndarray
    p: float


def edges(facts: pd.DataFrame) -> list[tuple[str, str]]:
    """An edge per fact: its subject (the whole question where that is unknown) and its first answer."""
    subjects = facts["subject"].where(facts["subject"].str.strip() != "", facts["question"])
    return list(zip(subjects.str.strip(), facts["answers"].str[0].str.strip(), strict=True))


def nodes(found: Iterable[tuple[str, str]]) -> set[str]:
    """The entities of the edges."""
    return {node for edge in found for node in edge}


def links(initial: set[str], reclassified: Sequence[tuple[str, str]]) -> Links:
    """How many nodes of the reclassified facts are connected to an initial node (GL 4.1.2, Table 5).

    `initial` are the nodes of the facts that were MaybeKnown. A node of both kinds of facts counts as initial alone; a
    reclassified node is linked if a path of reclassified facts leads from it to an initial node (a path through initial
    facts has met one already). GL does not say either.
    """
    import networkx as nx

    graph = nx.Graph(reclassified)
    linked = total = 0
    for component in nx.connected_components(graph):
        fresh = component - initial
        total += len(fresh)
        linked += len(fresh) if len(fresh) < len(component) else 0
    return Links(len(initial), total, linked)


def permuted(
    initial: set[str],
    pools: Sequence[Sequence[tuple[str, str]]],
    draws: Sequence[int],
    observed: Links,
    times: int,
    seed: int,
) -> Null:
    """The shares of linked nodes when, `times` times, `draws[i]` facts of `pools[i]` are the reclassified ones.

    p is one-sided: the share of the draws, the observed one included, that are at least as linked as it; NaN where the
    observed share is not defined.
    """
    random = np.random.default_rng(seed)
    shares = np.empty(times)
    for i in range(times):
        drawn = [
            facts[j]
            for facts, n in zip(pools, draws, strict=True)
            for j in random.choice(len(facts), size=n, replace=False)
        ]
        shares[i] = links(initial, drawn).share
    if np.isnan(observed.share):
        return Null(shares, float("nan"))
    known = shares[~np.isnan(shares)]
    return Null(shares, float((1 + (known >= observed.share).sum()) / (1 + len(known))))
