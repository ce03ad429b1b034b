"""Which answers a state gives: the new one, the one before, the original one or another."""

import pandas as pd

from gradual.knowledge import retention
from gradual.study.result_files import Result
from gradual.tables import accuracy_rows
from gradual.tables.multi_stage import columns, graded
from gradual.tables.multi_stage.graded import Graded
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Model, Part, Results, TableSpec


def _lines(study: Study, model: Model) -> list[Line]:
    """The rows: at the first stage no answer has changed, so that it has no row of its own, but it is the noise's state."""
    return [line for line in [*study.lines(model), *study.noise(model)] if line.stage > 1]


def needs(study: Study, model: Model) -> list[Result]:
    """The answers of all states after the first stage."""
    return graded.needs(_lines(study, model))


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, method, stage and kind of wording; shares in percent."""
    rows = []
    for key, model in study.models.items():
        read = Graded(loaded, study, key)
        for line in _lines(study, model):
            facts = _changed(read, line.stage)
            for wording, wordings in study.wordings.items():
                kinds = read.kinds(line, facts, wordings)
                row = columns.named(study, key, line) | {"wording": wording, "n": graded.mean_size(facts)}
                for answer in retention.ANSWERS:
                    found = accuracy_rows.share([said == answer for said in kinds])
                    row |= found.columns(f"{answer}_percent", 100)
                stuck = accuracy_rows.share([said.isin(retention.STUCK) for said in kinds])
                rows.append(row | stuck.columns("stuck_percent", 100))
    return pd.DataFrame(rows)


def _changed(read: Graded, stage: int) -> list[pd.Index]:
    """The facts that a stage trains on and whose valid answer it changes, by seed."""
    found = []
    for seed, facts in zip(read.study.seeds, read.facts(retention.trained, stage), strict=True):
        now, before = read.valid(seed, stage)[facts], read.valid(seed, stage - 1)[facts]
        found.append(facts[(now != before).to_numpy()])
    return found


_ROW = (columns.METHOD, columns.STAGE, columns.WORDING)
_NEW, _STUCK = columns.share("New", "new_percent"), columns.share("Stuck", "stuck_percent")

SPEC = TableSpec(
    name="answers",
    caption="Which answer a state gives to the facts whose answers the stage changes.",
    uses=(*columns.LINES, "retests"),
    needs=needs,
    build=build,
    columns=(
        Part("new and stuck answers [95% interval]", (*_ROW, columns.number("n", "n"), _NEW, _STUCK)),
        Part(
            "all other answers",
            (
                *_ROW,
                columns.plain("Previous", "previous_percent"),
                columns.plain("Original", "original_percent"),
                columns.plain("Other", "other_percent"),
            ),
        ),
    ),
    note="n is the number of these facts. New is the answer that is valid after the stage, previous is the one that "
    "was valid before it, and original is revision 0 where this is not the previous one. Other is any other answer, "
    "also one of the stages between. An answer that fits several of them counts as the first of these. Stuck is "
    f"previous or original. {columns.UNITS} {columns.WORDINGS} {columns.AGAIN} {columns.GREEDY} "
    f"{columns.DASH}",
)
