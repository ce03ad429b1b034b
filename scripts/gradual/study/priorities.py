"""Which works of a study wait for which, and how much waits for each: few cores begin with what most waits for."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from gradual.study.runs import ORIGIN, Config, Run, runs, states_needed
from gradual.workflow.costs import PROBE, probe_of

Step = tuple[str, str]  # state and work


def before(step: Step, table: Mapping[str, Run]) -> list[Step]:
    """The works that one waits for."""
    state, work = step
    if work == "pretraining":
        return []
    first = [("base", "pretraining")]
    if state == ORIGIN:
        return first
    if work.startswith(PROBE):
        return [(state, "evaluation")]  # which chooses the epoch
    run = table[state]
    if work == "evaluation":
        return [(state, "training"), (run.parent, "evaluation")]  # whose answers its own are compared with
    parent = [(run.parent, "evaluation")] if run.parent != ORIGIN else first
    return parent + [(needed, probe_of("train", 0)) for needed in _selected_by(run, table)]


def urgencies(works: Iterable[Mapping[str, Any]], config: Config) -> dict[tuple[str, str, str], int]:
    """How much work there is from each one (model, state, work) to the end of the longest chain that waits for it.

    Works are counted roughly, in prompts for a fact: a probe by its own, an evaluation by the epochs, a training by one.
    """
    table = runs(config)
    steps: dict[str, set[Step]] = {}
    for work in works:
        steps.setdefault(work["model"], set()).add((work["state"], work["work"]))

    def size(step: Step) -> int:
        state, work = step
        if work.startswith(PROBE):
            return config["probe"]["prompts"]
        return table[state].settings["epochs"] if work == "evaluation" and state in table else 1

    found = {}
    for model, known in steps.items():
        waiting = {step: [other for other in known if step in before(other, table)] for step in known}

        @cache
        def longest(step: Step, waiting: Mapping[Step, list[Step]] = waiting) -> int:
            return size(step) + max((longest(other) for other in waiting[step]), default=0)

        found |= {(model, *step): longest(step) for step in known}
    return found


def _selected_by(run: Run, table: Mapping[str, Run]) -> list[str]:
    """The states whose categories a run's selection needs, its size included."""
    return [*states_needed(run), *(_selected_by(table[run.size_of], table) if run.size_of else [])]
