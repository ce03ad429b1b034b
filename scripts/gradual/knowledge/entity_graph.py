"""The graph of entities (GL 4.1.2, Table 5), and the same graph for facts that are drawn at random."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from gradual.ground.normal_form import normal_form


class Links(NamedTuple):
    """Numbers of nodes.

    `initial` counts the nodes of the initial facts, `reclassified` the other nodes of the reclassified facts, and `linked`
    those of the latter that are linked to an initial node.
    """

    initial: int
    reclassified: int
    linked: int

    @property
    def share(self) -> float:
        """The linked nodes as a share of the reclassified ones (0..1). NaN if there are no reclassified nodes."""
        return self.linked / self.reclassified if self.reclassified else float("nan")


class Null(NamedTuple):
    """The shares of linked nodes for facts drawn at random, and the p-value of the observed share."""

    shares: np.ndarray
    p: float


def edges(facts: pd.DataFrame) -> list[tuple[str, str]]:
    """An edge per fact, between its subject and its first answer, both in normal form.

    If the subject is unknown, the question replaces it.
    """
    subjects, questions = (facts[column].map(normal_form) for column in ("subject", "question"))
    answers = facts["answers"].str[0].map(normal_form)
    return list(zip(subjects.where(subjects != "", questions), answers, strict=True))


def nodes(found: Iterable[tuple[str, str]]) -> set[str]:
    """The entities of the edges."""
    return {node for edge in found for node in edge}


def links(initial: set[str], reclassified: Sequence[tuple[str, str]]) -> Links:
    """How many nodes of the reclassified facts are connected to an initial node (GL 4.1.2, Table 5).

    `initial` are the nodes of the facts that were MaybeKnown. A node of both kinds of facts counts only as initial. A
    reclassified node is linked if a path of reclassified facts leads from it to an initial node. Paths through initial
    facts need no search, because they have reached an initial node already. GL specifies neither rule.
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
    """The shares of linked nodes in `times` random draws. Each draw reclassifies `draws[i]` facts of `pools[i]`.

    p is one-sided. It is the share of all draws, including the observed one, with at least the observed share of linked
    nodes. It is NaN if the observed share is not defined.
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
