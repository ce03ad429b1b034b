"""The matrix of accuracies R[i, j], of the state after stage i on the facts of stage j, and what follows from it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from gradual.ground import statistics
from gradual.ground.statistics import UNDEFINED, Estimate
from gradual.knowledge import retention
from gradual.study.result_files import Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows
from gradual.tables.markdown import with_interval
from gradual.tables.multi_stage import columns, graded
from gradual.tables.multi_stage.graded import Graded
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Column, Model, Part, Results, TableSpec

AVERAGE, BACKWARD, FORWARD = SUMMARIES = ("average accuracy", "backward transfer", "forward transfer")
NOTHING = dict.fromkeys(("now_percent", "then_percent", "transfer_points"), UNDEFINED)
UNTRAINED = Line("", "none: the origin", 0, ORIGIN, ORIGIN)


def _lines(study: Study, model: Model) -> list[Line]:
    """The states: the origin, the first stage, and each method after each later stage."""
    lines = study.lines(model)
    return [UNTRAINED, *(line for line in lines if line.key not in study.others)] if lines else []


def needs(study: Study, model: Model) -> list[Result]:
    """The answers of the origin and of the states of all methods."""
    return graded.needs(_lines(study, model))


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, state and stage of facts, and three rows per method; shares in percent, transfer in points."""
    rows = []
    for key, model in study.models.items():
        read, stages = Graded(loaded, study, key), range(1, len(study.stages) + 1)
        for line in _lines(study, model):
            for of in stages:
                facts = read.facts(retention.trained, of)
                now, then = (accuracy_rows.share(read.right(line.state, by, facts)) for by in (line.stage, of))
                found = NOTHING | {"now_percent": now, "then_percent": then}
                rows.append(_row(study, key, line, f"stage {of}", found) | {"n": graded.mean_size(facts)})
        for method in study.methods:
            for last in study.stages_of(method, model)[-1:]:
                line = Line(method, study.method_labels[method], last, study.state(method, last), "")
                for name, found in _summaries(read, method, last):
                    rows.append(_row(study, key, line, name, found) | {"n": None})
    return pd.DataFrame(rows)


def _row(study: Study, key: str, line: Line, facts: str, found: dict[str, Estimate]) -> dict[str, object]:
    row: dict[str, object] = columns.named(study, key, line) | {"facts_of": facts}
    for name, estimate in found.items():
        row |= estimate.columns(name, 100)
    return row


def _summaries(read: Graded, method: str, last: int) -> Iterator[tuple[str, dict[str, Estimate]]]:
    """The average accuracy and both transfers of a method up to a stage, over the seeds."""
    states = [read.study.state(method, stage) for stage in range(1, last + 1)]
    whole = {stage: read.facts(retention.trained, stage) for stage in range(1, last + 1)}
    unchanged = {stage: _unchanged(read, stage, last) for stage in whole}
    now, same, then = (
        [_accuracies(read, state, facts, by) for state in states]
        for facts, by in ((whole, [last] * last), (unchanged, [*whole]), (whole, [*whole]))
    )
    origin = _accuracies(read, ORIGIN, whole, [*whole])

    seeds = range(len(read.study.seeds))
    average = [retention.average_accuracy(np.array([row[i] for row in now])) for i in seeds]
    backward = [retention.backward_transfer(np.array([row[i] for row in same])) for i in seeds]
    forward = [retention.forward_transfer(np.array([row[i] for row in then]), origin[i]) for i in seeds]
    yield AVERAGE, NOTHING | {"now_percent": statistics.mean_interval(average)}
    yield BACKWARD, NOTHING | {"transfer_points": statistics.mean_interval(backward)}
    yield FORWARD, NOTHING | {"transfer_points": statistics.mean_interval(forward)}


def _accuracies(read: Graded, state: str, facts: Mapping[int, list[pd.Index]], by: Sequence[int]) -> list[np.ndarray]:
    """The accuracies of a state on the facts of each stage, by the answers valid after the stages `by`; one per seed."""
    right = [read.right(state, valid, some) for valid, some in zip(by, facts.values(), strict=True)]
    return [np.array([r[i].mean() for r in right], dtype=float) for i in range(len(read.study.seeds))]


def _unchanged(read: Graded, stage: int, last: int) -> list[pd.Index]:
    """The facts of a stage whose valid answer after the stage `last` is still that of the stage, by seed."""
    found = []
    for seed, facts in zip(read.study.seeds, read.facts(retention.trained, stage), strict=True):
        found.append(facts[(read.valid(seed, stage)[facts] == read.valid(seed, last)[facts]).to_numpy()])
    return found


def _mean(row: pd.Series) -> str:
    average = row["facts_of"] == AVERAGE
    return with_interval(row, *(("now_percent", ".2f") if average else ("transfer_points", "+.2f")))


_AFTER = Column("After stage", lambda row: str(row["stage"]))
_MEAN = Column("Over the stages", _mean)

SPEC = TableSpec(
    name="matrix",
    caption="The matrix of accuracies: each state on the facts of each stage, with average accuracy, backward and "
    "forward transfer (Lopez-Paz and Ranzato 2017).",
    uses=columns.LINES,
    needs=needs,
    build=build,
    columns=(
        Part(
            "R [95% interval]",
            (
                columns.METHOD,
                _AFTER,
                Column("Facts of", lambda row: str(row["facts_of"]), right=False),
                columns.number("n", "n"),
                columns.share("Right by what is valid after the state's stage", "now_percent"),
                columns.share("Right by what the facts' stage teaches", "then_percent"),
            ),
            lambda frame: frame[~frame["facts_of"].isin(SUMMARIES)],
        ),
        Part(
            "average accuracy, and transfer in points [95% interval]",
            (columns.METHOD, _AFTER, Column("Mean", lambda row: str(row["facts_of"]), right=False), _MEAN),
            lambda frame: frame[frame["facts_of"].isin(SUMMARIES)],
        ),
    ),
    note="A cell R[i, j] of the matrix has the facts that stage j trains on, as the state after stage i answers "
    "them. It has two values, because the answers of a fact change: by what is valid after stage i, and by what "
    "stage j teaches. They are the same for i = j. For i > j, the second one counts answers that may no longer be "
    "valid, so it should fall where stage i changed them. Average accuracy is the mean of the last row of R over "
    "all stages, by what is valid after the last stage. Backward transfer is the growth from R[j, j] to the last "
    "row, as a mean over the earlier stages. It counts only facts whose answer has not changed since stage j, and "
    "leaves out a stage without such facts. Forward transfer is R[j-1, j] minus the accuracy of the origin on the "
    f"same facts, by what stage j teaches, as a mean over the later stages. {columns.UNITS} {columns.DECIDING} "
    f"{columns.GREEDY} {columns.DASH} The intervals of the means need several seeds.",
)
