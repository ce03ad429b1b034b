"""The roles that runs have in the tables of Li et al. 2024."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradual.study.runs import ORIGIN, runs
from gradual.tables import spec
from gradual.tables.gradual_learning import paper

# The keys of the config for fields of Study that are not `tables.<field>`.
PLACES = {
    "retests": "probe.retests",
    "choose_on": "choose_on",
    "one_stage_controls": "tables.controls.one_stage",
    "two_stage_controls": "tables.controls.two_stage",
}


@dataclass(frozen=True)
class Study(spec.Study):
    """What the tables of Li et al. know of a study. A table is given the fields that it uses.

    `one_stage` and `two_stage` are runs, empty where the study has none. `longer` maps runs to their epochs, and `replay`
    maps runs to their replay ratio (0 without replay). `strategies`, `rounds` and the controls of a stage are runs.
    `frequent_share` is the share of train facts from which on an answer is frequent (see `knowledge.frequent_answers`).
    """

    one_stage: str = ""
    two_stage: str = ""
    retests: int = 0
    longer: dict[str, int] = field(default_factory=dict)
    strategies: tuple[str, ...] = ()
    rounds: tuple[str, ...] = ()
    one_stage_controls: tuple[str, ...] = ()
    two_stage_controls: tuple[str, ...] = ()
    replay: dict[str, float] = field(default_factory=dict)
    frequent_share: float = 1.0

    @property
    def stages(self) -> dict[str, str]:
        """The state of each of the paper's stages, in order."""
        return {"Origin": ORIGIN, "One-Stage": self.one_stage, "Two-Stage": self.two_stage}

    @property
    def lengths(self) -> dict[str, str]:
        """The names of the longer trainings: their epochs and, where several have as many, the run's name."""
        alike = Counter(self.longer.values())
        return {
            run: f"{epochs} ({self.title(run)})" if alike[epochs] > 1 else f"{epochs}"
            for run, epochs in self.longer.items()
        }

    def controls(self, model: spec.Model, most: int | None = None) -> dict[str, tuple[str, str]]:
        """The controls of the stages that a model has, of each stage among the first `most` (None: all).

        Each has its name in the tables, and the state that it starts from.
        """
        listed = {
            "One-Stage": (self.one_stage_controls[:most], ORIGIN),
            "Two-Stage": (self.two_stage_controls[:most], self.one_stage),
        }
        return {
            run: (f"Control of {stage}: {self.title(run)}", before)
            for stage, (runs_, before) in listed.items()
            for run in runs_
            if model.has(run)
        }

    def named(self, run: str) -> str:
        """A run's name in tables with the paper's names: its label, else the paper's name of it."""
        return self.labels.get(run) or paper.name_of(run)


def study_of(config: Mapping[str, Any]) -> Study:
    """The Study of a config that has been loaded."""
    named, table = config["tables"], runs(dict(config))
    return Study(
        **spec.common_of(config, paper.models()),
        one_stage=named["one_stage"] or "",
        two_stage=named["two_stage"] or "",
        retests=config["probe"]["retests"],
        longer={run: table[run].training.epochs for run in named["longer"]},
        strategies=tuple(named["strategies"]),
        rounds=tuple(named["rounds"]),
        one_stage_controls=tuple(named["controls"]["one_stage"]),
        two_stage_controls=tuple(named["controls"]["two_stage"]),
        replay={run: found.ratio if (found := table[run].replay) else 0.0 for run in named["replay"]},
        frequent_share=named["frequent_share"],
    )
