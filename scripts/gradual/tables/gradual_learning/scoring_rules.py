"""How much the scoring rule matters: categories and accuracies under each rule, and the token F1 of the answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradual.ground import statistics
from gradual.knowledge.categories import FULL, categorize
from gradual.knowledge.scoring import MEASURES, RULES, TOKEN_F1
from gradual.study.result_files import PROBE_GRADES, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import number, percent, with_interval
from gradual.tables.spec import Column, Model, Part, Results, TableSpec


def needs(study: Study, model: Model) -> list[Result]:
    """The grades of the origin's probe and the evaluations of the three stages."""
    if not model.has(*study.stages.values()):
        return []
    return [Result(PROBE_GRADES), *(n for state in study.stages.values() for n in reading.evaluated(state))]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and rule: shares of the categories at origin (0..1), accuracies in percent, gains in points.

    The last row of a model has the mean token F1 of the answers instead of accuracies, and no categories.
    """
    rows = []
    for key in study.models:
        for name, measure in MEASURES.items():
            row = accuracy_rows.common(study, key) | {"name": name, "chosen_on": study.choose_on}
            if name in RULES:
                row |= _categories(loaded, study, key, name)
            difference = statistics.difference_over_seeds if name in RULES else _mean_difference
            before: list[np.ndarray] = []
            for stage, state in study.stages.items():
                found = [reading.chosen_grades(loaded, study, seed, key, state, name) for seed in study.seeds]
                graded = [values.to_numpy(dtype=measure.kind) for values in found]
                row[stage] = 100 * float(np.mean([values.mean() for values in graded]))
                if before:
                    gain = difference(list(zip(before, graded, strict=True)))
                    row |= gain.columns(f"{stage} gain_points", 100)
                before = graded
            row["n"] = sum(map(len, before)) / len(before)
            rows.append(row)
    return pd.DataFrame(rows)


def _categories(loaded: Results, study: Study, key: str, rule: str) -> dict[str, float]:
    """The share of each category at the origin (0..1), as a mean over the seeds."""
    labels = [
        categorize(
            reading.get(loaded, seed, key, Result(PROBE_GRADES)),
            rule,
            "full",
            reading.path(Result(PROBE_GRADES), seed, key),
        )["category"]
        for seed in study.seeds
    ]
    return {name: sum(float((found == name).mean()) for found in labels) / len(labels) for name in FULL}


def _mean_difference(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> statistics.Estimate:
    """The mean difference of numbers over the same facts, from one pair (before, after) per seed.

    The interval is Student's t, over the facts for one seed, else over the seeds.
    """
    differences = [after - before for before, after in pairs]
    return statistics.mean_interval(differences[0] if len(pairs) == 1 else [d.mean() for d in differences])


def _share(category: str) -> Column:
    return Column(category, lambda row: percent(row[category]))


def _accuracy(stage: str) -> Column:
    return Column(stage, lambda row: number(row[stage]))


def _gain(stage: str) -> Column:
    return Column("Gain [95% interval]", lambda row: with_interval(row, f"{stage} gain_points", "+.2f"))


def _ruled(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that have categories."""
    return frame[frame["name"] != TOKEN_F1]


_RULE = Column("Rule", lambda row: "mean token F1" if row["name"] == TOKEN_F1 else row["name"], right=False)
_GAINS = (column for stage in ("One-Stage", "Two-Stage") for column in (_accuracy(stage), _gain(stage)))

SPEC = TableSpec(
    name="scoring",
    caption="The categories of the train facts at the origin, and the test accuracy of each stage, by each scoring rule.",
    uses=("one_stage", "two_stage", "choose_on"),
    needs=needs,
    build=build,
    columns=(
        Part("categories of the train facts at the origin, in percent", (_RULE, *map(_share, FULL)), _ruled),
        Part("test accuracy, in percent", (_RULE, _accuracy(ORIGIN.title()), *_GAINS)),
    ),
    facts="test facts",
    note="Gains are over the stage before, in points. In every row, facts are selected and epochs are chosen by the "
    "study's rule.",
)
