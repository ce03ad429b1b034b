"""The runs that a study's stages and methods make.

A stage says what a run trains on, and a method says how it trains. The first stage is a run that all methods start from.
Each method makes a run of every later stage, which starts from the method's run of the stage before.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gradual.study.runs import MERGE, ORIGIN, REPEATS, REVISION, Config

FIRST = "stage1"  # the run of the first stage
OWN_KEYS = ("label", "stages", "forget")  # of a method, which no run has
OWN = "own"  # the role of a domain's own facts (data.revisions, whose edits do not concern the tables of other studies)


class Made(NamedTuple):
    """A run that a method makes: its name, its keys, the method (empty for the first stage) and the number of the stage."""

    name: str
    run: Config
    method: str
    stage: int


def made_runs(config: Config) -> Iterator[Made]:
    """The runs of the stages and methods of a config that follows the schema, stage by stage for each method."""
    stages = config["stages"]
    if not stages:
        return
    yield Made(FIRST, {"from": ORIGIN} | stages[0], "", 1)
    for method, settings in config["methods"].items():
        how = {key: value for key, value in settings.items() if key not in OWN_KEYS}
        before, last = FIRST, settings.get("stages") or len(stages)
        for number, stage in enumerate(stages[1:last], 2):
            how |= {key: f"{settings[key]}{number}" for key in REPEATS if settings.get(key)}
            name, run = (
                state_of(method, number),
                stage | how | {"label": f"{settings.get('label') or method}, stage {number}"},
            )
            if settings.get("forget"):
                forgetting = forget(run, settings["forget"], run["label"])
                yield Made(forget_run(name), {"from": before} | forgetting, method, number)
                before = forget_run(name)
            yield Made(name, {"from": before} | run, method, number)
            before = name


def state_of(method: str, stage: int) -> str:
    """The state of a method after a stage."""
    return FIRST if stage == 1 else f"{method}{stage}"


def forget_run(state: str) -> str:
    """The run that forgets before the run of a state is trained, with a method that forgets."""
    return f"{state}_forget"


def forget(run: Mapping[str, Any], strength: float, label: str) -> Config:
    """A run that takes the answers before those of `run` out of the model (F-Learning, Ni et al. 2023).

    It trains on the answers of the revision before, and its state is its parent minus `strength` times what it learned. The
    own facts of a domain are left out, because they have no answer before.
    """
    facts = [role for role in run["facts"] if role != OWN]
    answers = {REVISION: run["answers"][REVISION] - 1}
    kept = {key: value for key, value in run.items() if key not in ("augment", "preference", "replay", *REPEATS)}
    own = {
        "objective": "cross_entropy",
        "preference": None,
        "label": f"{label}, forgetting",
        "facts": facts,
        "answers": answers,
        "adapter": MERGE,
        "scale": -strength,
    }
    return {**kept, **own}


def methods(config: Config) -> dict[str, dict[int, str]]:
    """The runs of each method, by the number of their stage. A run that only forgets is left out."""
    found: dict[str, dict[int, str]] = {method: {} for method in config["methods"]}
    for made in made_runs(config):
        if made.method:
            found[made.method][made.stage] = made.name
    return found
