"""The graded answers of a model about the groups of facts, as the tables read them: which are right, by seed."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from gradual.data.cells import refuse
from gradual.ground.errors import InputError
from gradual.ground.statistics import Estimate
from gradual.knowledge import retention
from gradual.knowledge.stages import Stage
from gradual.study.result_files import GROUP_GRADES, GROUPS, REVISIONS, Result
from gradual.tables import accuracy_rows, reading
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Results

Chosen = Callable[[pd.DataFrame, Sequence[Stage]], pd.Index]  # facts of the groups, after some stages
COLUMNS = ["fact_id", "wording", "revision", "right"]


def needs(lines: Iterable[Line], *states: str) -> list[Result]:
    """What the rows of a model read: the groups, the revisions, and the graded answers of the rows' states and of `states`.

    There is nothing without a row.
    """
    asked = [Result(GROUP_GRADES, line.state, line.probe) for line in lines]
    asked += [Result(GROUP_GRADES, state) for state in states] if asked else []
    return list(dict.fromkeys([Result(GROUPS), Result(REVISIONS), *asked])) if asked else []


class Graded:
    """One model's graded answers of all seeds. Each series of answers is a boolean, by fact and wording."""

    def __init__(self, loaded: Results, study: Study, key: str) -> None:
        self.loaded, self.study, self.key = loaded, study, key
        self._read: dict[tuple[int, str, int], pd.DataFrame] = {}
        self._valid: dict[tuple[int, int], pd.Series] = {}

    def facts(self, chosen: Chosen, stage: int) -> list[pd.Index]:
        """The chosen facts of the first `stage` stages, by seed."""
        return [chosen(self._groups(seed), self.study.stages[:stage]) for seed in self.study.seeds]

    def valid(self, seed: int, stage: int) -> pd.Series:
        """The revision of each fact that is valid after a stage (0: at the origin)."""
        if (seed, stage) not in self._valid:
            revisions = reading.get(self.loaded, seed, "", Result(REVISIONS))
            found = retention.valid_revisions(self._groups(seed), revisions, self.study.stages[:stage])
            self._valid[seed, stage] = found
        return self._valid[seed, stage]

    def right(
        self,
        state: str,
        stage: int,
        facts: Sequence[pd.Index],
        wordings: Sequence[int] | None = None,
        probe: int = 0,
    ) -> list[pd.Series]:
        """Which answers of a state are right by what is valid after a stage, by seed.

        `facts` are the facts of each seed that are asked, in `wordings` (None: those that decide).
        """
        pairs = zip(self.study.seeds, facts, strict=True)
        return [
            retention.right_by(self._among(seed, state, probe, some, wordings), self.valid(seed, stage))
            for seed, some in pairs
        ]

    def kinds(self, line: Line, facts: Sequence[pd.Index], wordings: Sequence[int]) -> list[pd.Series]:
        """Which answer of its fact each answer of a row is (`retention.ANSWERS`), by seed."""
        found = []
        for seed, some in zip(self.study.seeds, facts, strict=True):
            graded = self._among(seed, line.state, line.probe, some, wordings)
            now, before = self.valid(seed, line.stage), self.valid(seed, line.stage - 1)
            found.append(retention.answer_kinds(graded, now, before))
        return found

    def _groups(self, seed: int) -> pd.DataFrame:
        groups: pd.DataFrame = reading.get(self.loaded, seed, "", Result(GROUPS))
        return groups

    def _among(
        self, seed: int, state: str, probe: int, facts: pd.Index, wordings: Sequence[int] | None
    ) -> pd.DataFrame:
        graded = self._graded(seed, state, probe)
        asked = self.study.tested if wordings is None else wordings
        there = graded.index.get_level_values("fact_id").isin(facts)
        return graded[there & graded.index.get_level_values("wording").isin(asked)]

    def _graded(self, seed: int, state: str, probe: int) -> pd.DataFrame:
        if (seed, state, probe) not in self._read:
            need = Result(GROUP_GRADES, state, probe)
            frame = reading.get(self.loaded, seed, self.key, need)
            revisions = reading.get(self.loaded, seed, "", Result(REVISIONS))
            asked = [*self.study.trained, *self.study.unseen]
            file = reading.path(need, seed, self.key)
            check_grades(frame, self._groups(seed), revisions, asked, file)
            self._read[seed, state, probe] = retention.by_revision(frame)
        return self._read[seed, state, probe]


def check_grades(
    grades: pd.DataFrame, groups: pd.DataFrame, revisions: pd.DataFrame, wordings: Sequence[int], file: str
) -> None:
    """Raise InputError, with file, row and key, unless the grades are those of every fact, wording and revision, once."""
    reading.require(grades, COLUMNS, file)
    there = set(groups["fact_id"])
    refuse(grades, ~grades["fact_id"].isin(there), file, "fact_id", "a fact of the groups")
    named = ", ".join(map(str, wordings))
    refuse(grades, ~grades["wording"].isin(wordings), file, "wording", f"a wording that the study asks ({named})")
    known = revisions[revisions["fact_id"].isin(there)].set_index(["fact_id", "revision"]).index
    found = pd.MultiIndex.from_frame(grades[["fact_id", "revision"]])
    refuse(grades, pd.Series(~found.isin(known)), file, "revision", "a revision of the fact")
    boolean = grades["right"].map(lambda value: isinstance(value, bool | np.bool_))
    refuse(grades, ~boolean.astype(bool), file, "right", "true or false")
    twice = grades.duplicated(["fact_id", "wording", "revision"])
    refuse(grades, twice, file, "fact_id", "each fact, wording and revision once")
    if len(grades) == len(known) * len(wordings):
        return
    whole = pd.MultiIndex.from_tuples([(f, w, r) for f, r in known for w in wordings])
    fact_id, wording, revision = whole.difference(pd.MultiIndex.from_frame(grades[COLUMNS[:3]]))[0]
    problem = f"fact {fact_id} has no grade in wording {wording} by revision {revision}"
    raise InputError(file, problem, "a grade of every fact, wording and revision", key="fact_id")


def gained(before: Sequence[pd.Series], after: Sequence[pd.Series]) -> Estimate:
    """MS's KGR, over the seeds."""
    return accuracy_rows.share([retention.gained(b, a) for b, a in zip(before, after, strict=True)])


def kept(before: Sequence[pd.Series], after: Sequence[pd.Series]) -> Estimate:
    """MS's KRR, over the seeds."""
    return accuracy_rows.share([retention.kept(b, a) for b, a in zip(before, after, strict=True)])


def mean_size(facts: Sequence[pd.Index]) -> float:
    """The mean number of facts, over the seeds."""
    return float(np.mean([len(some) for some in facts]))
