"""How many facts the groups of a study have, by their roles."""

from collections.abc import Mapping

from gradual.data.revisions import CONFLICTING, KEPT, OWN, REVISED, UNRELATED
from gradual.study.runs import Config

Sizes = Mapping[str, float]  # of all facts with a role; of each domain for the roles in domains


def group_sizes(config: Config, train: int) -> Sizes:
    """The number of facts with each role. A user's file of dated answers may revise any of the `train` facts."""
    revisions = config["dataset"]["revisions"]
    if not revisions:
        return {}
    sizes = {KEPT: revisions["kept"], UNRELATED: revisions["unrelated"]}
    if revisions["domains"]:
        return sizes | {OWN: revisions["own"], CONFLICTING: revisions["conflicting"]}
    return sizes | {REVISED: revisions["facts"] or train - sum(sizes.values())}


def asked_facts(config: Config, sizes: Sizes) -> float:
    """How many facts the groups have, each once."""
    domains = len((config["dataset"]["revisions"] or {}).get("domains") or {})
    return sum(n * (domains if role == OWN else 1) for role, n in sizes.items() if role != CONFLICTING)
