"""The roles that stages, methods and runs have in the tables of Guan et al. 2025."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from gradual.knowledge.stages import Stage
from gradual.study.methods import FIRST, made_runs, methods, state_of
from gradual.study.runs import LATEST, ORIGIN, REVISION, Runs, runs
from gradual.tables import spec
from gradual.tables.multi_stage import paper

# The keys of the config for fields of Study that are not `tables.<field>`.
STAGES = ("stage_facts", "stage_domains", "stage_revisions")
PLACES = {
    **dict.fromkeys(STAGES, "stages"),
    "methods": "methods",
    "method_labels": "methods",
    "roles": "tables.methods",
    "steps_of": "methods",
    "augmented": "methods",
    "others": "runs",
    "parents": "runs",
    "rates": "methods",
    "epochs": "methods",
    "retests": "probe.retests",
}
EVERY, AGAIN = "every method", "none: stage 1 asked with other prompts"  # the names of rows of no method
TRAINED, UNSEEN = "trained", "unseen"  # the wordings of questions


def of_methods(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are of methods and of other runs, and not of the common first stage or of its re-probe."""
    return rows[~rows["method"].isin([EVERY, AGAIN])]


class Line(NamedTuple):
    """A row of the tables: a state that is asked after a stage, and the state of the same method before this stage.

    `key` is the name of the method or the run, and empty for rows of none. `probe` 1 asks with other prompts.
    """

    key: str
    name: str
    stage: int
    state: str
    previous: str
    probe: int = 0


@dataclass(frozen=True)
class Study(spec.Study):
    """What the tables of Guan et al. know of a study. A table is given the fields that it uses.

    The three fields of stages have an item per stage: the roles of its facts, with spaces between them, their domain, and
    the revision of their answers (None: the latest). `methods` maps methods to their last stage, and `roles` maps the roles
    of `tables.methods` to methods. `steps_of` maps methods to those whose number of steps they take. `augmented` are the
    methods with augmented questions. `others` maps runs of no method to the stage after which they are asked, and `parents`
    maps them to the states that they start from. `rates` (learning rates) and `epochs` are those of the methods at their
    last stage, and of the other runs. `trained` and `unseen` are wordings of questions.
    """

    stage_facts: tuple[str, ...] = ()
    stage_domains: tuple[str, ...] = ()
    stage_revisions: tuple[int | None, ...] = ()
    methods: dict[str, int] = field(default_factory=dict)
    method_labels: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    steps_of: dict[str, str] = field(default_factory=dict)
    augmented: tuple[str, ...] = ()
    others: dict[str, int] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    trained: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    retests: int = 0

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, in order."""
        listed = zip(self.stage_facts, self.stage_domains, self.stage_revisions, strict=True)
        return tuple(Stage(tuple(facts.split()), domain, revision) for facts, domain, revision in listed)

    @property
    def wordings(self) -> dict[str, tuple[int, ...]]:
        """The wordings that the study asks, by kind: those that runs train on and, if there are some, the others."""
        return {TRAINED: self.trained} | ({UNSEEN: self.unseen} if self.unseen else {})

    @property
    def tested(self) -> tuple[int, ...]:
        """The wordings that decide where a table has only one kind: those that no run trains on, where there are some."""
        return self.unseen or self.trained

    def state(self, method: str, stage: int) -> str:
        """The state of a method after a stage."""
        return state_of(method, stage)

    def stages_of(self, method: str, model: spec.Model) -> list[int]:
        """The stages after the first one that a model has with a method."""
        return [stage for stage in range(2, self.methods[method] + 1) if model.has(self.state(method, stage))]

    def lines(self, model: spec.Model) -> list[Line]:
        """The rows of a model: the first stage, the later stages of each method, and the other runs."""
        found = [Line("", EVERY, 1, FIRST, ORIGIN)] if self.stage_facts and model.has(FIRST) else []
        for method in self.methods:
            name = self.method_labels[method]
            for stage in self.stages_of(method, model):
                now, before = (self.state(method, number) for number in (stage, stage - 1))
                found.append(Line(method, name, stage, now, before))
        there = [run for run in self.others if model.has(run)]
        return [*found, *(Line(run, self.title(run), self.others[run], run, self.parents[run]) for run in there)]

    def noise(self, model: spec.Model) -> list[Line]:
        """The rows of the first stage asked with other prompts, after each of the first two stages: no training is between.

        There are none without a re-probe (probe.retests).
        """
        stages = range(1, min(2, len(self.stage_facts)) + 1)
        return [Line("", AGAIN, s, FIRST, FIRST, 1) for s in stages if self.retests and model.has(FIRST)]

    def same_steps(self, method: str) -> str:
        """The method that takes as many steps as another one, of several the first by name; empty without one."""
        return min((other for other, named in self.steps_of.items() if named == method), default="")

    def role_of(self, method: str) -> str:
        """The first role of a method; empty for a method without one."""
        return next((role for role, named in self.roles.items() if named == method), "")


def study_of(config: Mapping[str, Any]) -> Study:
    """The Study of a config that has been loaded."""
    table, stages = runs(dict(config)), config["stages"]
    named = {method: states for method, states in methods(dict(config)).items() if states}
    stage_of = {ORIGIN: 0} | {run.name: run.stage for run in made_runs(dict(config))}
    others = [name for name, run in table.items() if stages and run.facts and name not in stage_of]
    last = {method: states[max(states)] for method, states in named.items()} | {run: run for run in others}
    wordings = config["dataset"]["wordings"] or {"train": [0], "test": []}
    return Study(
        **spec.common_of(config, paper.models()),
        stage_facts=tuple(" ".join(stage["facts"]) for stage in stages),
        stage_domains=tuple(stage.get("domain") or "" for stage in stages),
        stage_revisions=tuple(_revision(stage["answers"]) for stage in stages),
        methods={method: max(states) for method, states in named.items()},
        method_labels={method: config["methods"][method].get("label") or method for method in named},
        roles={role: method for role, method in config["tables"]["methods"].items() if method},
        steps_of={method: of for method in named if (of := config["methods"][method].get("steps_of"))},
        augmented=tuple(sorted(method for method in named if config["methods"][method].get("augment"))),
        others={run: _stage_after(run, table, stage_of) for run in others},
        parents={run: table[run].parent for run in others},
        rates={name: table[run].training.learning_rate for name, run in last.items()},
        epochs={name: table[run].training.epochs for name, run in last.items()},
        trained=tuple(wordings["train"]),
        unseen=tuple(wordings["test"]),
        retests=config["probe"]["retests"],
    )


def _revision(answers: Any) -> int | None:
    """The revision of a stage's answers; 0 for a fact's first answer, and None for the latest."""
    found = answers[REVISION] if isinstance(answers, Mapping) else 0
    return None if found == LATEST else found


def _stage_after(run: str, table: Runs, stage_of: Mapping[str, int]) -> int:
    """The stage after which a run of no method is asked; `stage_of` has the stages of the other states, and the last one.

    A run on the latest answers is asked after the last stage. Any other run is asked after the stage that follows the stage
    of its parent. So one from the origin is asked after the first stage.
    """
    last = max(stage_of.values())
    if table[run].answers == REVISION and table[run].revision is None:
        return last
    parent = table[run].parent
    before = stage_of[parent] if parent in stage_of else _stage_after(parent, table, stage_of)
    return min(before + 1, last)
