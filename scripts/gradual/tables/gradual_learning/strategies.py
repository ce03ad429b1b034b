"""GL Tables 8 and 9: the strategies of the second stage, on all test facts and by category at the origin."""

import numpy as np
import pandas as pd

from gradual.ground import statistics
from gradual.knowledge.categories import FULL
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.accuracy_rows import Line
from gradual.tables.gradual_learning import paper
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import count, number
from gradual.tables.spec import Column, Model, Results, TableSpec

OVERALL, BY_CATEGORY = 8, 9
ONE_STAGE = "One-Stage"


def needs_overall(study: Study, model: Model) -> list[Result]:
    """The evaluations of the one-stage run and of all strategies."""
    runs = (study.one_stage, *study.strategies)
    return [n for run in runs for n in reading.evaluated(run)] if study.strategies and model.has(*runs) else []


def needs_by_category(study: Study, model: Model) -> list[Result]:
    """The same, and the origin's probe of the test facts."""
    there = needs_overall(study, model)
    return [Result(FACTS), Result(CATEGORIES, ORIGIN, 0, "test"), *there] if there else []


def build_overall(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and strategy; the gain is over the one-stage run."""
    rows = []
    for key, model in study.models.items():
        cells = paper.values(OVERALL, model.paper)
        base = cells.get((ONE_STAGE, "Max Acc"))
        lines = [Line(ONE_STAGE, study.one_stage, None, base)]
        for run in study.strategies:
            value = cells.get((paper.name_of(run), "Max Acc"))
            gain = None if value is None or base is None else round(value - base, 2)
            lines.append(Line(study.named(run), run, study.one_stage, value, gain))
        rows += accuracy_rows.rows(loaded, study, key, lines)
    return pd.DataFrame(rows)


def test_categories(loaded: Results, study: Study, key: str) -> list[pd.Series]:
    """The category of each test fact at the origin, by seed."""
    return [reading.categories(loaded, seed, key, ORIGIN, 0, FULL, "test") for seed in study.seeds]


def by_category(
    loaded: Results, study: Study, key: str, state: str, reference: str, category: str
) -> tuple[statistics.Estimate, statistics.Estimate, float]:
    """A state's test accuracy on the facts of one category at the origin, its gain over another state there, and n."""
    counted = [labels == category for labels in test_categories(loaded, study, key)]
    return accuracy_rows.on_facts(loaded, study, key, state, reference, counted)


def build_by_category(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, run and category at the origin."""
    rows = []
    for key, model in study.models.items():
        cells = paper.values(BY_CATEGORY, model.paper)
        for run in (study.one_stage, *study.strategies):
            one = run == study.one_stage
            printed = ONE_STAGE if one else paper.name_of(run)
            for category in FULL:
                share, gain, n = by_category(loaded, study, key, run, study.one_stage, category)
                value, base = cells.get((printed, category)), cells.get((ONE_STAGE, category))
                paper_gain = None if one or value is None or base is None else round(value - base, 2)
                rows.append(
                    {
                        **accuracy_rows.common(study, key),
                        "name": ONE_STAGE if one else study.named(run),
                        "type": category,
                        "paper_percent": value,
                        "paper_gain_points": paper_gain,
                        **share.columns("percent", 100),
                        "gain_points": np.nan if one else 100 * gain.value,
                        "gain_points_low": np.nan if one else 100 * gain.low,
                        "gain_points_high": np.nan if one else 100 * gain.high,
                        "n": n,
                        "chosen_on": study.choose_on,
                    }
                )
    return pd.DataFrame(rows)


OVERALL_SPEC = TableSpec(
    name="table_08",
    number=OVERALL,
    reported=paper.models(OVERALL),
    uses=("one_stage", "strategies", "choose_on"),
    caption="The maximum accuracy achieved after second-stage fine-tuning using datasets constructed with different "
    "strategies.",
    needs=needs_overall,
    build=build_overall,
    columns=(Column("Strategy", lambda row: row["name"], right=False), *accuracy_rows.BESIDE_THE_PAPER),
    facts="test facts",
    note=f"Gains are over One-Stage. {accuracy_rows.NOTE_BESIDE_THE_PAPER}",
)
BY_CATEGORY_SPEC = TableSpec(
    name="table_09",
    number=BY_CATEGORY,
    reported=paper.models(BY_CATEGORY),
    uses=("one_stage", "strategies", "choose_on"),
    caption="The model’s accuracy on test data across different categories, which were determined using the un-finetuned "
    "model. It can be observed that all strategies, except for Strategy 2, improve the model’s accuracy across all "
    "categories of test data during the second stage of fine-tuning. Strategy 2 did not utilize data that was initially "
    "classified as ‘Weakly Known’ but showed improved mastery.",
    needs=needs_by_category,
    build=build_by_category,
    columns=(
        Column("Stage", lambda row: row["name"], right=False),
        Column("Type of the test facts", lambda row: row["type"], right=False),
        Column("Facts", lambda row: count(row["n"])),
        Column("Paper", lambda row: number(row["paper_percent"])),
        accuracy_rows.PAPER_GAIN,
        *accuracy_rows.OURS,
    ),
    note="The caption is the paper's, and it describes the paper's numbers. By these numbers, Strategy 4 does not improve "
    f"MaybeKnown either (56.35, One-Stage 56.90). {accuracy_rows.NOTE} Gains are over One-Stage.",
)
