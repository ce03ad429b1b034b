"""The main table: KGR and ACC of each method after each stage, in trained and in unseen wordings (MS, main table)."""

import pandas as pd

from gradual.ground.statistics import UNDEFINED
from gradual.knowledge import retention
from gradual.study.methods import FIRST
from gradual.study.result_files import Result
from gradual.tables import accuracy_rows
from gradual.tables.multi_stage import columns, graded, paper
from gradual.tables.multi_stage.graded import Graded
from gradual.tables.multi_stage.roles import TRAINED, UNSEEN, Line, Study
from gradual.tables.spec import Column, Model, Part, Results, TableSpec


def needs(study: Study, model: Model) -> list[Result]:
    """The answers of all states, and of the states that they are compared with."""
    lines = _lines(study, model)
    return graded.needs(lines, FIRST, *(line.previous for line in lines))


def _lines(study: Study, model: Model) -> list[Line]:
    return study.lines(model) + study.noise(model)


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, method and stage; shares in percent."""
    rows = []
    for key, model in study.models.items():
        read = Graded(loaded, study, key)
        for line in _lines(study, model):
            facts = read.facts(retention.trained, line.stage)
            row = columns.named(study, key, line) | {"n": graded.mean_size(facts)}
            for wording in (TRAINED, UNSEEN):
                row |= _metrics(read, line, facts, wording)
            role = study.role_of(line.key)
            printed = {
                metric: paper.printed(model.paper, role, line.stage, metric) for metric in (paper.KGR, paper.ACC)
            }
            shown = not line.probe and (line.stage > 1 or not line.key)
            rows.append(row | {f"paper_{metric.lower()}": v if shown else None for metric, v in printed.items()})
    return pd.DataFrame(rows)


def _metrics(read: Graded, line: Line, facts: list[pd.Index], wording: str) -> dict[str, float]:
    """ACC, and KGR against both references, in the wordings of a kind; NaN where the study has none."""
    found = dict.fromkeys(("acc", "kgr", "kgr_stage1"), UNDEFINED)
    if wordings := read.study.wordings.get(wording):
        after = read.right(line.state, line.stage, facts, wordings, line.probe)
        before = read.right(line.previous, line.stage, facts, wordings)
        found["acc"], found["kgr"] = accuracy_rows.share(after), graded.gained(before, after)
        if line.stage > 1:
            found["kgr_stage1"] = graded.gained(read.right(FIRST, line.stage, facts, wordings), after)
    return {
        column: value
        for metric, estimate in found.items()
        for column, value in estimate.columns(f"{wording}_{metric}_percent", 100).items()
    }


def _worded(metric: str) -> list[Column]:
    """The columns of a metric in trained and in unseen wordings."""
    return [columns.share(f"Ours, {each} [95% interval]", f"{each}_{metric}_percent") for each in (TRAINED, UNSEEN)]


_ROW = (columns.METHOD, columns.STAGE, columns.number("n", "n"))

SPEC = TableSpec(
    name="stages",
    caption="Answers that change from stage to stage: KGR and ACC of each method after each stage.",
    uses=(*columns.LINES, "roles", "retests"),
    needs=needs,
    build=build,
    reported=paper.models(),
    columns=(
        Part("ACC", (*_ROW, columns.plain("Paper", "paper_acc"), *_worded("acc"))),
        Part("KGR", (*_ROW, columns.plain("Paper", "paper_kgr"), *_worded("kgr"))),
        Part("KGR over stage 1", (*_ROW, *_worded("kgr_stage1"))),
    ),
    note=f"n is the number of facts that the stage trains on. {columns.VALID} ACC is the share of right answers. KGR "
    "is the share of right answers among those that were wrong before, by the same answer: before in the method's "
    "stage before, and over stage 1 in the common first stage. So the denominators of KGR differ by method, but not "
    f"over stage 1. {columns.UNITS} {columns.WORDINGS} {columns.AGAIN} {columns.GREEDY} {columns.DASH} The "
    "paper does not say which state its KGR starts from, nor whether its test questions are worded otherwise. Its "
    "numbers are from one training, and its ablations are taken to be of stage 2, because their row without "
    "augmentation has the numbers of LLaMA3-8B with CIT there. In its table of the preference bias this row has KGR "
    "and ACC exchanged, so both rows of that table are exchanged here.",
)
