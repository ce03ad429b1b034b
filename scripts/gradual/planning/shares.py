"""How many facts a run trains on and replays, and of how many a probe samples: as measured, else as in the paper.

The paper's tables give how the facts of the origin's four categories go over to those after stage 1 (Table 3), and these to
those after stage 2 (Table 12). A run from the origin is planned like stage 1, any later one like stage 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gradual.ground.files import read_parquet
from gradual.knowledge.categories import FULL, UNKNOWN, WEAKLY, WEAKLY_OR_UNKNOWN
from gradual.knowledge.selection import select_facts
from gradual.knowledge.selection_roles import REPLAY, TRAIN
from gradual.study import result_paths
from gradual.study.runs import ORIGIN, Run, states_needed
from gradual.tables.gradual_learning import paper

STAND_IN = "Qwen2-7B"  # of the paper's models the one that has all tables
MEASURED = "measured"


@dataclass(frozen=True)
class Selected:
    """How many facts a run trains on and may replay, and where that is known from."""

    trained: float
    pool: float
    source: str


@dataclass(frozen=True)
class Knowledge:
    """What is known of the categories of a model's train facts, by one seed.

    `joint` has columns origin, one, two (a category each) and share of the facts; `measured` the categories of the states
    that are probed already; `chains` how many runs each state is from the origin.
    """

    facts: int
    joint: pd.DataFrame
    source: str
    measured: dict[str, pd.DataFrame]
    runs: Mapping[str, Run]
    folder: Path

    def selected(self, run: Run) -> Selected:
        """What a run selects: its selection where it is made, else by categories, measured ones before the paper's."""
        made = self.folder / run.name / "selection.parquet"
        if made.is_file():
            roles = read_parquet(made, "a selection of facts", ("fact_id", "role"))["role"].value_counts()
            return Selected(int(roles.get(TRAIN, 0)), int(roles.get(REPLAY, 0)), MEASURED)
        size = None if run.size_of is None else self.selected(self.runs[run.size_of]).trained
        needed = states_needed(run)
        if needed <= set(self.measured) and (size is None or float(size).is_integer()):
            tables = {state: self.measured[state] for state in needed}
            whole = None if size is None else int(size)
            roles = select_facts(tables, run.select, run.replay, run.name, whole)["role"].value_counts()
            return Selected(int(roles.get(TRAIN, 0)), int(roles.get(REPLAY, 0)), MEASURED)
        chosen = self._weight(run.select)
        trained = found = self.facts * float(chosen.sum())
        if size is not None:
            trained = min(found, size)
        pool = 0.0
        if run.replay:
            there = self._weight({run.replay["state"]: [run.replay["category"]]})
            kept = self._weight({**run.select, run.replay["state"]: self._both(run)})  # selected anyway
            pool = self.facts * float(there.sum()) - float(kept.sum()) * self.facts * (trained / found if found else 0)
        return Selected(trained, pool, self.source)

    def unsolved(self, split: str) -> tuple[float, str]:
        """The share of a split's facts that get sampled answers in a full probe of the origin."""
        file = self.folder / result_paths.probe_folder(ORIGIN, split) / "categories.parquet"
        if file.is_file():
            found = read_parquet(file, "categories of facts", ("sampled_n",))
            return float((found["sampled_n"] > 0).mean()), MEASURED
        wanted = self._weight({ORIGIN: [WEAKLY, UNKNOWN]})
        return float(wanted.sum()), self.source

    def categories(self, state: str, split: str) -> dict[str, float]:
        """The shares of a split's facts that have each category in a probe of a state; of other splits than train, its own
        where they are measured."""
        file = self.folder / result_paths.probe_folder(state, split) / "categories.parquet"
        if file.is_file():
            found = read_parquet(file, "categories of facts", ("category",))["category"]
            return found.value_counts(normalize=True).to_dict()
        return {category: float(self._weight({state: [category]}).sum()) for category in FULL}

    def _both(self, run: Run) -> list[str]:
        """The replayed category, as far as the run selects it in the state it replays from."""
        state, category = run.replay["state"], run.replay["category"]
        return [category] if category in run.select.get(state, [category]) else []

    def _weight(self, select: Mapping[str, list[str]]) -> pd.Series:
        """The share of the facts in each row of `joint` that a selection takes."""
        weight = self.joint["share"].copy()
        weakly = self._weakly()
        for state, wanted in select.items():
            column = self.joint[("origin", "one", "two")[min(_depth(self.runs, state), 2)]]
            taken = column.isin(wanted).astype(float)
            if state != ORIGIN:  # a full probe of a trained state, which the paper has not, tells these apart
                part = (WEAKLY in wanted) * weakly + (UNKNOWN in wanted) * (1 - weakly)
                taken = taken.where(column != WEAKLY_OR_UNKNOWN, max(part, float(WEAKLY_OR_UNKNOWN in wanted)))
            weight *= taken
        return weight

    def _weakly(self) -> float:
        """WeaklyKnown of those that are WeaklyKnown or Unknown at the origin."""
        by_category = self.joint.groupby("origin")["share"].sum()
        both = by_category.get(WEAKLY, 0.0) + by_category.get(UNKNOWN, 0.0)
        return by_category.get(WEAKLY, 0.0) / both if both else 0.0


def knowledge_of(folder: Path, facts: int, runs: Mapping[str, Run], paper_model: str | None) -> Knowledge:
    """What is known of a model before or during a study; `folder` is results/<study>/seed<seed>/<model>."""
    model = paper_model or STAND_IN
    source = f"the paper's {model}" + ("" if paper_model else ", as the model names none")
    first = _frame(paper.values(3, model), ["origin", "one"])
    second = paper.values(12, model)
    if not second:
        second = paper.values(12, STAND_IN)
        source += f"; after stage 2 its {STAND_IN}"
    then = _frame(second, ["one", "two"])
    then["share"] /= then.groupby("one")["share"].transform("sum")
    first["share"] /= first["share"].sum()
    joint = first.merge(then, on="one", suffixes=("", "_then"))
    joint["share"] *= joint.pop("share_then")
    measured = {}
    for state in (ORIGIN, *runs):
        file = folder / result_paths.probe_folder(state) / "categories.parquet"
        if file.is_file():
            measured[state] = read_parquet(file, "categories of facts", ("fact_id", "category"))
    if ORIGIN in measured:
        counted = measured[ORIGIN]["category"].value_counts(normalize=True)
        before = joint.groupby("origin")["share"].transform("sum")
        joint["share"] *= joint["origin"].map(counted).fillna(0.0) / before
        source = f"the origin's measured, then {source}"
    return Knowledge(facts, joint, source, measured, runs, folder)


def _frame(values: dict[tuple[str, str], float], names: list[str]) -> pd.DataFrame:
    rows = [(*key, value) for key, value in values.items()]
    return pd.DataFrame(rows, columns=[*names, "share"])


def _depth(runs: Mapping[str, Run], state: str) -> int:
    return 0 if state == ORIGIN else 1 + _depth(runs, runs[state].parent)
