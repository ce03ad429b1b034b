"""What is lost on the way: kept facts and unrelated facts that are still right, and KRR against both references."""

import math

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.statistics import UNDEFINED, Estimate, mean_interval
from gradual.knowledge import retention
from gradual.study.methods import FIRST
from gradual.study.result_files import CHANGE, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.multi_stage import columns, graded
from gradual.tables.multi_stage.graded import Graded
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Model, Part, Results, TableSpec


def _lines(study: Study, model: Model) -> list[Line]:
    """The rows. The noise floor has one, because what is kept does not depend on the stage."""
    return study.lines(model) + study.noise(model)[:1]


def needs(study: Study, model: Model) -> list[Result]:
    """The answers of all states, of the states that they are compared with, and of the origin; how far weights moved."""
    lines = _lines(study, model)
    moved = dict.fromkeys(Result(CHANGE, line.state) for line in lines)
    return [*graded.needs(lines, ORIGIN, FIRST, *(line.previous for line in lines)), *moved]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, method, stage and kind of wording; shares in percent."""
    rows = []
    for key, model in study.models.items():
        read = Graded(loaded, study, key)
        for line in _lines(study, model):
            kept, unrelated = kept_facts(read, line.stage), read.facts(retention.unrelated, line.stage)
            moved = _moved(loaded, study, key, line)
            for wording, wordings in study.wordings.items():
                after = read.right(line.state, line.stage, kept, wordings, line.probe)
                before, first = (read.right(state, line.stage, kept, wordings) for state in (line.previous, FIRST))
                beside = read.right(line.state, line.stage, unrelated, wordings, line.probe)
                known = read.right(line.previous if line.probe else ORIGIN, line.stage, unrelated, wordings)
                found = {
                    "kept_percent": accuracy_rows.share(after),
                    "krr_percent": graded.kept(before, after),
                    "krr_stage1_percent": UNDEFINED if line.state == FIRST else graded.kept(first, after),
                    "unrelated_percent": accuracy_rows.share(beside),
                    "unrelated_kept_percent": graded.kept(known, beside),
                }
                row = columns.named(study, key, line) | {"wording": wording, "kept_n": graded.mean_size(kept)}
                row["unrelated_n"] = graded.mean_size(unrelated)
                for name, estimate in found.items():
                    row |= estimate.columns(name, 100)
                rows.append(row | moved.columns("change"))
    return pd.DataFrame(rows)


def _moved(loaded: Results, study: Study, key: str, line: Line) -> Estimate:
    """The norm of the change of the weights from the untouched model to a state, over the seeds."""
    found = []
    for seed in study.seeds:
        need = Result(CHANGE, line.state)
        norm = reading.get(loaded, seed, key, need).get("norm")
        if not isinstance(norm, float) or not 0 <= norm < math.inf:
            file = reading.path(need, seed, key)
            raise InputError(file, f"{norm!r}", "the norm of a change, as measure_change writes it", key="norm")
        found.append(norm)
    return mean_interval(found)


def kept_facts(read: Graded, stage: int) -> list[pd.Index]:
    """The facts that an earlier stage trains on and this stage does not, by seed; for stage 1, as after stage 2."""
    return read.facts(retention.retained, max(stage, min(2, len(read.study.stages))))


_ROW = (columns.METHOD, columns.STAGE, columns.WORDING)

SPEC = TableSpec(
    name="retention",
    caption="What is lost on the way: facts that were learned earlier, and facts that no stage trains on.",
    uses=(*columns.LINES, "retests"),
    needs=needs,
    build=build,
    columns=(
        Part(
            "kept facts",
            (
                *_ROW,
                columns.number("n", "kept_n"),
                columns.share("Right", "kept_percent"),
                columns.share("KRR", "krr_percent"),
                columns.plain("KRR over stage 1", "krr_stage1_percent"),
            ),
        ),
        Part(
            "unrelated facts",
            (
                *_ROW,
                columns.number("n", "unrelated_n"),
                columns.share("Right", "unrelated_percent"),
                columns.share("Right at the origin and still", "unrelated_kept_percent"),
                columns.plain("Change of the weights", "change"),
            ),
        ),
    ),
    note=f"{columns.KEPT} {columns.VALID} KRR is the share of right answers among those that were right before: "
    "before in the method's stage before, and over stage 1 in the common first stage. The paper does not print the "
    "denominator of its KRR, and shows retention in figures only. Right at the origin and still is the share of right "
    "answers to unrelated facts among those that were right at the origin (locality). The change of the weights is the "
    "Frobenius norm of the difference between the state's weights and those of the untouched model. "
    f"{columns.UNITS} {columns.WORDINGS} {columns.AGAIN} There, stage 1 itself is what was right before. "
    f"{columns.GREEDY} {columns.DASH}",
)
