"""The runs of a study: states of the model, each trained from another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ORIGIN = "origin"

Config = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A state of the model: trained from its parent on the facts that have the selected categories.

    `select` maps states to categories; `size_of` is None or the run whose number of train facts this one draws;
    `replay` is None or has the keys category, ratio and state; `settings` has every key of the config's `training`.
    """

    name: str
    parent: str
    select: dict[str, list[str]]
    size_of: str | None
    replay: dict[str, Any] | None
    settings: dict[str, Any]


def runs(config: Config) -> dict[str, Run]:
    """The runs of a config that has been loaded."""
    table = {}
    for name, given in config["runs"].items():
        replay = given.get("replay")
        table[name] = Run(
            name,
            given["from"],
            given["select"],
            given.get("size_of"),
            {"state": given["from"], **replay} if replay else None,
            {key: given.get(key, value) for key, value in config["training"].items()},
        )
    return table


def states_needed(run: Run) -> set[str]:
    """The states whose categories a run selects or replays from."""
    return set(run.select) | ({run.replay["state"]} if run.replay else set())


def awaited(run: Run) -> set[str]:
    """The states and runs that a run needs."""
    return {run.parent, *states_needed(run), *([run.size_of] if run.size_of else [])} - {ORIGIN}


def adapter_chain(table: Mapping[str, Run], state: str) -> list[str]:
    """The states whose adapters, applied in order to the base model, give the state; none for the origin.

    A run that continues an adapter takes its place in the chain; one that merges adds its own.
    """
    if state == ORIGIN:
        return []
    run = table[state]
    chain = adapter_chain(table, run.parent)
    return [*(chain if run.settings["adapter"] == "merge" else chain[:-1]), state]


def runs_of(config: Config, model: str) -> list[str]:
    """The runs of a model, in the config's order: all unless it names its own."""
    named = config["models"][model]["runs"]
    return [name for name in config["runs"] if named is None or name in named]


def probe_mode(config: Config, state: str, probe: int = 0) -> str:
    """How a state is probed: "full" (with sampled answers) or "greedy", as every retest (probe 1 and above) is."""
    if probe:
        return "greedy"
    return "full" if state == ORIGIN else config["probe"]["trained_states"]
