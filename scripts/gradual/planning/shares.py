"""How many facts a run trains on, and how many prompts settle a fact: from measured categories, else from the paper's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.revisions import CONFLICTING, OWN
from gradual.ground.files import read_parquet
from gradual.knowledge.categories import MAYBE, UNKNOWN, WEAKLY, WEAKLY_OR_UNKNOWN
from gradual.knowledge.selection_roles import REPLAY, TRAIN
from gradual.planning.groups import Sizes
from gradual.study.result_files import CATEGORIES, SELECTION, path
from gradual.study.runs import ORIGIN, Run, Runs, selected_states
from gradual.tables.gradual_learning import paper

UNSOLVED = (WEAKLY, UNKNOWN, WEAKLY_OR_UNKNOWN)
# Prompts that settle a fact's category. A right and a wrong greedy answer settle MaybeKnown, and a right sample settles
# WeaklyKnown. The numbers are means for ten prompts, if every number of right prompts that the category allows is equally
# likely. With more prompts they grow little.
SETTLED = {MAYBE: 4.1, WEAKLY: 2.9}


@dataclass(frozen=True)
class Knowledge:
    """What is known of the categories of a model's train facts under a seed.

    `results` is results/<study>, and `facts` is the number of train facts. The shares of the paper's model `like` replace
    categories that are not measured. None means the model that the paper has all tables of. `groups` are the sizes of the
    groups of facts.
    """

    results: Path
    seed: int
    model: str
    facts: int
    runs: Runs
    like: str | None
    groups: Sizes = field(default_factory=dict)

    def selected(self, run: Run) -> tuple[float, float]:
        """How many facts a run trains on, and how many it may replay: from its selection, else from categories."""
        made = self._file(SELECTION, run.name)
        if made.is_file():
            roles = read_parquet(made, "a selection of facts", ("role",))["role"]
            return int((roles == TRAIN).sum()), int((roles == REPLAY).sum())
        if run.facts:
            return self._trained(run), self._pool(run)
        table = self._categories(selected_states(run))
        chosen = pd.Series(True, index=table.index)
        for state, wanted in run.select.items():
            chosen &= _among(table[state], wanted)
        found = trained = float(table.loc[chosen, "facts"].sum())
        if run.size_of:
            trained = min(found, self.selected(self.runs[run.size_of])[0])
        if run.replay is None or not found:
            return trained, 0.0
        assert run.replay.state and run.replay.category  # a replay of roles is that of a run with facts
        there = _among(table[run.replay.state], [run.replay.category])
        both = table.loc[there & chosen, "facts"].sum() * trained / found  # facts to train on are not replayed
        return trained, float(table.loc[there, "facts"].sum() - both)

    def _trained(self, run: Run) -> float:
        """How many facts of its groups a run trains on. A run without a domain has those of all domains."""
        roles, domains = {*run.facts}, 1 if run.domain else max(1, len(self._domains()))
        if not run.domain and OWN in roles:
            roles.discard(CONFLICTING)  # they are among the own facts of the domain before
        return sum((self.groups[role] * (domains if role in (OWN, CONFLICTING) else 1) for role in roles), 0.0)

    def _pool(self, run: Run) -> float:
        """How many facts of groups a run may replay: the own facts of the domains before it, less those it trains on."""
        replayed = run.replay.facts if run.replay else ()
        pool = sum((self.groups[role] * (self._domains_before(run) if role == OWN else 1) for role in replayed), 0.0)
        return pool - (self.groups[CONFLICTING] if OWN in replayed and CONFLICTING in run.facts else 0)

    def _domains(self) -> set[str]:
        return {run.domain for run in self.runs.values()} - {""}

    def _domains_before(self, run: Run) -> int:
        """How many other domains the states have that lead to a run."""
        found: set[str] = set()
        state = run.parent
        while state != ORIGIN:
            found.add(self.runs[state].domain)
            state = self.runs[state].parent
        return len(found - {run.domain, ""})

    def prompts(self, probe: Mapping[str, Any], state: str, questions: str) -> tuple[float, float]:
        """Mean prompts of a fact in a full probe: how many are asked, and how many get samples.

        `probe` is the config's section. Samples are planned for the facts that have no right greedy answer. With
        `counts: settled`, MaybeKnown facts are asked fewer prompts and WeaklyKnown ones get fewer samples (SETTLED).
        """
        count, table = probe["prompts"], self._categories([state], questions)
        shares = (table.groupby(state)["facts"].sum() / table["facts"].sum()).to_dict()
        if probe["counts"] == "exact":
            return count, count * (1.0 if probe["sampled_for"] == "all" else sum(shares.get(c, 0.0) for c in UNSOLVED))
        maybe, weakly = shares.get(MAYBE, 0.0), shares.get(WEAKLY, 0.0)
        open_to_the_end = shares.get(UNKNOWN, 0.0) + shares.get(WEAKLY_OR_UNKNOWN, 0.0)
        asked = maybe * min(count, SETTLED[MAYBE]) + (1 - maybe) * count
        return asked, weakly * min(count, SETTLED[WEAKLY]) + open_to_the_end * count

    def _file(self, kind: str, state: str, questions: str = "train") -> Path:
        named = {"seed": self.seed, "model": self.model, "state": state, "questions": questions, "probe": 0}
        return self.results / path(kind, **named)

    def _categories(self, states: list[str], questions: str = "train") -> pd.DataFrame:
        """The categories that facts have in some states, a column each, and how many facts have them (`facts`).

        All are measured, or all are the paper's.
        """
        files = [self._file(CATEGORIES, state, questions) for state in states]
        if all(file.is_file() for file in files):
            tables = [read_parquet(file, "categories of facts", ("fact_id", "category")) for file in files]
            found = {s: table.set_index("fact_id")["category"] for s, table in zip(states, tables, strict=True)}
            return pd.DataFrame(found).assign(facts=1.0)
        joint = paper.joint_shares(self.like)
        found = {state: joint[self._stages(state)] for state in states}
        return pd.DataFrame(found).assign(facts=self.facts * joint["share"])

    def _stages(self, state: str) -> int:
        """How many of the paper's stages lead to a state: one to a run from the origin, two to a later run."""
        return 0 if state == ORIGIN else min(2, 1 + self._stages(self.runs[state].parent))


def _among(categories: pd.Series, wanted: list[str]) -> pd.Series:
    """Whether each category is wanted. After training the paper has one class for WeaklyKnown and Unknown: it counts as
    both."""
    either = [WEAKLY_OR_UNKNOWN] if {WEAKLY, UNKNOWN} & set(wanted) else []
    return categories.isin([*wanted, *either])
