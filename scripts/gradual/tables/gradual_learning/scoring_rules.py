"""How much the scoring rule matters: categories and accuracies under each rule."""

import pandas as pd

from gradual.ground import statistics
from gradual.knowledge.categories import FULL, categorize
from gradual.knowledge.scoring import RULES
from gradual.study.result_files import PROBE_GRADES, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import interval, number, percent
from gradual.tables.spec import Column, Model, Results, TableSpec


def needs(study: Study, model: Model) -> list[Result]:
    """The grades of the origin's probe and the evaluations of the three stages."""
    if not model.has(*study.stages.values()):
        return []
    return [Result(PROBE_GRADES), *(n for state in study.stages.values() for n in reading.evaluated(state))]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and rule: shares of the categories at origin (0..1), accuracies in percent, gains in points."""
    rows = []
    for key in study.models:
        for rule in RULES:
            row = accuracy_rows.common(study, key) | {"name": rule, "chosen_on": study.choose_on}
            labels = [
                categorize(
                    reading.get(loaded, seed, key, Result(PROBE_GRADES)),
                    rule,
                    "full",
                    reading.path(Result(PROBE_GRADES), seed, key),
                )["category"]
                for seed in study.seeds
            ]
            for name in FULL:
                row[name] = sum(float((found == name).mean()) for found in labels) / len(labels)
            before: list[pd.Series] = []
            for stage, state in study.stages.items():
                graded = [reading.chosen_grades(loaded, study, seed, key, state, rule) for seed in study.seeds]
                share = statistics.share_over_seeds([int(g.sum()) for g in graded], [len(g) for g in graded])
                row[stage] = 100 * share.value
                if before:
                    pairs = [(b.to_numpy(), a.to_numpy()) for b, a in zip(before, graded, strict=True)]
                    gain = statistics.difference_over_seeds(pairs)
                    row |= {
                        **gain.columns(f"{stage} gain_points", 100),
                    }
                before = graded
            row["n"] = sum(map(len, before)) / len(before)
            rows.append(row)
    return pd.DataFrame(rows)


def _share(category: str) -> Column:
    return Column(f"{category}: %", lambda row: percent(row[category]))


def _gain(stage: str) -> Column:
    def cell(row: pd.Series) -> str:
        low, high = (number(row[f"{stage} gain_points_{end}"], "+.2f") for end in ("low", "high"))
        return f"{number(row[f'{stage} gain_points'], '+.2f')} {interval(low, high)}"

    return Column(f"{stage}: gain", cell)


SPEC = TableSpec(
    name="scoring",
    caption="The categories of the train facts at the origin, and the test accuracy of each stage, by each scoring rule.",
    uses=("one_stage", "two_stage", "choose_on"),
    needs=needs,
    build=build,
    columns=(
        accuracy_rows.MODEL,
        Column("Rule", lambda row: row["name"], right=False),
        *map(_share, FULL),
        Column(ORIGIN.title(), lambda row: number(row["Origin"])),
        Column("One-Stage", lambda row: number(row["One-Stage"])),
        _gain("One-Stage"),
        Column("Two-Stage", lambda row: number(row["Two-Stage"])),
        _gain("Two-Stage"),
    ),
    note="Categories and test accuracies are in percent. Gains are over the stage before, in points, with 95% intervals. "
    "In every row, facts are selected and epochs are chosen by the study's rule.",
)
