"""What each budget of training buys: new answers at the last stage, against what is kept."""

import pandas as pd

from gradual.knowledge import retention
from gradual.study.methods import forget_run
from gradual.study.result_files import LOSS, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.multi_stage import columns, graded
from gradual.tables.multi_stage.graded import Graded
from gradual.tables.multi_stage.retained import kept_facts
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Column, Model, Results, TableSpec


def _lines(study: Study, model: Model) -> list[Line]:
    """The last row of each method, and the other runs after the first stage."""
    last = {line.key: line for line in study.lines(model) if line.stage > 1}
    return list(last.values())


def needs(study: Study, model: Model) -> list[Result]:
    """The answers of the states after the last stage of each method, and of the origin; how many steps were trained."""
    lines = _lines(study, model)
    return [*graded.needs(lines, ORIGIN), *(need for line in lines for need in _losses(line, model))]


def _losses(line: Line, model: Model) -> list[Result]:
    """The losses of the runs that a row trains: that of its state, and the one that forgets before it."""
    return [Result(LOSS, run) for run in (forget_run(line.state), line.state) if model.has(run)]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and method; shares in percent."""
    rows = []
    for key, model in study.models.items():
        read = Graded(loaded, study, key)
        for line in _lines(study, model):
            new, kept = read.facts(retention.trained, line.stage), kept_facts(read, line.stage)
            unrelated = read.facts(retention.unrelated, line.stage)
            known, still = (read.right(state, line.stage, unrelated) for state in (ORIGIN, line.state))
            row = columns.named(study, key, line)
            row |= {"learning_rate": study.rates[line.key], "epochs": study.epochs[line.key]}
            row["budget"] = 1000 * study.rates[line.key] * study.epochs[line.key]
            row["steps"] = _steps(loaded, study, key, _losses(line, model))
            for name, facts in (("new", new), ("kept", kept)):
                right = accuracy_rows.share(read.right(line.state, line.stage, facts))
                row |= {f"{name}_n": graded.mean_size(facts)} | right.columns(f"{name}_percent", 100)
            rows.append(row | graded.kept(known, still).columns("unrelated_kept_percent", 100))
    return pd.DataFrame(rows)


def _steps(loaded: Results, study: Study, key: str, losses: list[Result]) -> float:
    """How many steps some runs take together; a mean over the seeds."""
    steps = 0
    for seed in study.seeds:
        for need in losses:
            frame = reading.get(loaded, seed, key, need)
            reading.require(frame, ["step"], reading.path(need, seed, key))
            steps += int(frame["step"].max())
    return steps / len(study.seeds)


SPEC = TableSpec(
    name="budgets",
    caption="What each budget of training buys at a method's last stage: new answers, against what is kept.",
    uses=(*columns.LINES, "rates", "epochs"),
    needs=needs,
    build=build,
    columns=(
        columns.METHOD,
        columns.STAGE,
        Column("Budget", lambda row: f"{row['budget']:g}"),
        columns.number("Steps", "steps"),
        columns.share("New answers right", "new_percent"),
        columns.share("Kept facts right", "kept_percent"),
        columns.plain("Unrelated still right", "unrelated_kept_percent"),
    ),
    note="Each row is a method, or the same method with another learning rate or number of epochs, after its last "
    "stage. So the rows of a method are points of a curve, and a method is better only where it moves this curve: "
    "more new answers for as much that is kept. A budget is the learning rate times the epochs, in thousandths. Steps are "
    "those of the last stage; those that forget count. Unrelated facts that are still right are a share of those that were "
    "right at the origin. "
    f"{columns.KEPT} {columns.VALID} {columns.UNITS} {columns.DECIDING} {columns.GREEDY} {columns.DASH}",
)
