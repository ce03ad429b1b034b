"""The runs of a study. Each run is a state of the model, which starts from another state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradual.ground.settings import pick
from gradual.training.settings import TrainingSettings

ORIGIN = "origin"  # the untouched model
MERGE = "merge"
GOLD, DRAWN = "gold", "drawn"  # the answers that a run trains on

Config = dict[str, Any]


@dataclass(frozen=True)
class Replay:
    """The replay pool of a run: the facts of a category in a state. Each epoch draws the share `ratio` of them."""

    state: str
    category: str
    ratio: float


@dataclass(frozen=True)
class Run:
    """A state of the model: trained from its parent on the facts that have the selected categories.

    `kind` says how the state is made (see `steps.STATE_KINDS`). `select` maps states to categories. `size_of` names
    another run, and this run draws as many train facts as that run has. `answers` are those that the run trains on (see
    `steps.EXAMPLE_RULES`). `adapter` says whether the run continues its parent's adapter, or merges it into the weights and
    trains a new one.
    """

    name: str
    label: str
    kind: str
    parent: str
    select: Mapping[str, list[str]]
    size_of: str | None
    replay: Replay | None
    answers: str
    adapter: str
    training: TrainingSettings


Runs = Mapping[str, Run]


def runs(config: Config) -> dict[str, Run]:
    """The runs of a config that has been loaded, by name."""
    table = {}
    for name, given in config["runs"].items():
        replay, settings = given.get("replay"), config["training"] | given
        table[name] = Run(
            name=name,
            label=given.get("label") or name,
            kind=given.get("kind", "trained"),
            parent=given["from"],
            select=given["select"],
            size_of=given.get("size_of"),
            replay=Replay(replay.get("state", given["from"]), replay["category"], replay["ratio"]) if replay else None,
            answers=given.get("answers", GOLD),
            adapter=settings["adapter"],
            training=pick(TrainingSettings, settings),
        )
    return table


def selected_states(run: Run) -> list[str]:
    """The states by whose categories a run selects and replays facts, in alphabetical order."""
    return sorted({*run.select, *([run.replay.state] if run.replay else [])})


def awaited(run: Run) -> set[str]:
    """The runs that a run needs."""
    return {run.parent, *selected_states(run), *([run.size_of] if run.size_of else [])} - {ORIGIN}


def adapter_chain(table: Runs, state: str) -> list[str]:
    """The states whose adapters, applied in order to the base model, give the state; none for the origin.

    A run that continues its parent's adapter takes the parent's place in the chain. A run that merges follows its parent.
    """
    if state == ORIGIN:
        return []
    run = table[state]
    chain = adapter_chain(table, run.parent)
    return [*(chain if run.adapter == MERGE else chain[:-1]), state]


def runs_of(config: Config, model: str) -> list[str]:
    """The runs of a model, in the config's order: all unless the model names its own."""
    named = config["models"][model]["runs"]
    return [name for name in config["runs"] if named is None or name in named]


def probe_mode(config: Config, state: str, probe: int = 0) -> str:
    """How a state is probed: "full" (with sampled answers) or "greedy". A re-probe (probe 1) is greedy."""
    if probe:
        return "greedy"
    return "full" if state == ORIGIN else config["probe"]["trained_states"]
