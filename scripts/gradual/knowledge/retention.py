"""What a state gained and retained where answers change from stage to stage: which answer it gives, and its metrics.

The metrics are those of Guan et al. 2025 (MS): KGR, ACC and KRR. Average accuracy, backward and forward transfer are those
of Lopez-Paz and Ranzato 2017. Answers are graded against every revision of their fact. A metric is a boolean series over
the answers in its denominator, so that it has a numerator and a denominator, and an interval can be made of them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradual.data.revisions import CONFLICTING, OWN, UNRELATED
from gradual.ground.errors import InputError
from gradual.knowledge.group_selection import facts_with
from gradual.knowledge.stages import Stage

NEW, PREVIOUS, ORIGINAL, OTHER = "new", "previous", "original", "other"
ANSWERS = (NEW, PREVIOUS, ORIGINAL, OTHER)
STUCK = (PREVIOUS, ORIGINAL)  # the answers of a state that still says what is no longer valid


def trained(groups: pd.DataFrame, stages: Sequence[Stage]) -> pd.Index:
    """The facts that the last of the stages trains on, sorted; none without a stage."""
    return pd.Index(facts_with(groups, stages[-1].facts, stages[-1].domain) if stages else [])


def retained(groups: pd.DataFrame, stages: Sequence[Stage]) -> pd.Index:
    """The facts that an earlier stage trains on and the last of the stages does not, sorted."""
    earlier = [trained(groups, stages[:end]) for end in range(1, len(stages))]
    return pd.Index(sorted({fact_id for facts in earlier for fact_id in facts} - {*trained(groups, stages)}))


def unrelated(groups: pd.DataFrame, stages: Sequence[Stage]) -> pd.Index:
    """The facts that no stage trains on, sorted."""
    return pd.Index(facts_with(groups, (UNRELATED,), ""))


def own(groups: pd.DataFrame, stages: Sequence[Stage]) -> pd.Index:
    """The own facts of the domain of the last of the stages, sorted."""
    return pd.Index(facts_with(groups, (OWN,), stages[-1].domain))


def conflicting(groups: pd.DataFrame, stages: Sequence[Stage]) -> pd.Index:
    """The facts of the domain before whose answers the last of the stages changes, sorted."""
    return pd.Index(facts_with(groups, (CONFLICTING,), stages[-1].domain))


def valid_revisions(groups: pd.DataFrame, revisions: pd.DataFrame, stages: Sequence[Stage]) -> pd.Series:
    """The revision of each fact of the groups that is valid after the stages, by fact_id.

    It is the one that the last stage with this fact teaches, and 0 for a fact of no stage. Own facts of a stage's domain
    have revision 0. A fact that does not change at a stage's revision has the last one before it.
    """
    valid = pd.Series(0, index=pd.Index(sorted(set(groups["fact_id"])), name="fact_id"))
    for end, stage in enumerate(stages, 1):
        facts = trained(groups, stages[:end]).difference(own(groups, stages[:end]))
        there = revisions if stage.revision is None else revisions[revisions["revision"] <= stage.revision]
        valid.loc[facts] = there.groupby("fact_id")["revision"].max().loc[facts]
        if OWN in stage.facts:
            valid.loc[own(groups, stages[:end])] = 0
    return valid


def by_revision(grades: pd.DataFrame) -> pd.DataFrame:
    """Which answers are right by each revision of their fact.

    `grades` has the columns fact_id, wording, revision and right. The rows of the result are the answers, by fact_id and
    wording, sorted. Its columns are the revisions: 1 for right, 0 for wrong, and NaN where the fact has no such revision.
    """
    return grades.pivot(index=["fact_id", "wording"], columns="revision", values="right").astype(float).sort_index()


def right_by(graded: pd.DataFrame, revisions: pd.Series) -> pd.Series:
    """Whether each answer is right by the revision that `revisions` names for its fact (bool), in the order of `graded`.

    `graded` is what `by_revision` gives. Raises InputError for an answer that is not graded by this revision.
    """
    wanted = revisions.reindex(graded.index.get_level_values("fact_id")).to_numpy(float)
    places = graded.columns.get_indexer(wanted)
    found = np.where(places >= 0, graded.to_numpy()[np.arange(len(graded)), places], np.nan)
    if np.isnan(found).any():
        fact_id, wording = graded.index[int(np.isnan(found).argmax())]
        problem = f"the answer to fact {fact_id} in wording {wording} is not graded by its valid revision"
        raise InputError("group grades", problem, "a grade by every revision of the fact", key="revision")
    return pd.Series(found.astype(bool), index=graded.index)


def answer_kinds(graded: pd.DataFrame, new: pd.Series, previous: pd.Series) -> pd.Series:
    """Which answer of its fact each answer is, one of ANSWERS.

    `new` and `previous` name the revisions that are valid now and were valid before, by fact_id. An answer that fits
    several of them counts as the first in the order of ANSWERS. So right ones are new, whatever else they say.
    """
    original = pd.Series(0, index=new.index)
    fits = [right_by(graded, revisions).to_numpy() for revisions in (new, previous, original)]
    return pd.Series(np.select(fits, ANSWERS[:3], OTHER), index=graded.index)


def gained(before: pd.Series, after: pd.Series) -> pd.Series:
    """MS's KGR: whether what was wrong before is right after, over what was wrong. Both are right or wrong (bool)."""
    return after[~_same_answers(before, after)]


def kept(before: pd.Series, after: pd.Series) -> pd.Series:
    """MS's KRR: whether what was right before is right after, over what was right. Both are right or wrong (bool).

    MS do not print the denominator. This one makes it a share of what could be kept.
    """
    return after[_same_answers(before, after)]


def _same_answers(before: pd.Series, after: pd.Series) -> pd.Series:
    if not before.index.equals(after.index):
        raise InputError("group grades", "two states answer different questions", "the same questions", key="fact_id")
    return before


def average_accuracy(accuracies: np.ndarray) -> float:
    """The mean accuracy of the last state over the facts of all stages (Lopez-Paz and Ranzato 2017).

    `accuracies[i, j]` is that of the state after stage i on the facts of stage j. NaN stands for a stage without facts
    and is left out, here and below. The result is NaN where nothing is left.
    """
    return _mean(accuracies[-1])


def backward_transfer(accuracies: np.ndarray) -> float:
    """How much the accuracy on a stage's facts grew since that stage, as a mean over the stages before the last one."""
    return _mean(accuracies[-1, :-1] - np.diag(accuracies)[:-1])


def forward_transfer(accuracies: np.ndarray, origin: np.ndarray) -> float:
    """How much more of a stage's facts is right just before the stage than at the origin, over the stages after the first.

    `origin[j]` is the accuracy of the untouched model on the facts of stage j. It stands for the random initialisation of
    Lopez-Paz and Ranzato.
    """
    return _mean(np.diag(accuracies, 1) - origin[1:])


def _mean(values: np.ndarray) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")
