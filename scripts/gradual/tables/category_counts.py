"""Table 10: how many facts of each category there are at origin, after one stage and after two; and what that is worth."""

import math

import numpy as np
import pandas as pd

from gradual.knowledge import GREEDY_ONLY, HIGHLY
from gradual.statistics import Estimate, bootstrap, mean_interval, share_over_seeds
from gradual.tables.categories import counts, merged, printed_at_levels
from gradual.tables.loading import check_same_facts
from gradual.tables.paper import CAPTIONS, numbers
from gradual.tables.spec import (
    STAGES,
    Inputs,
    Need,
    Study,
    TableSpec,
    count,
    estimate_columns,
    percent,
    percent_interval,
    text,
)

GROWTH = "Growth of HighlyKnown from One-Stage to Two-Stage"
OF_ONE_STAGE = "as share of One-Stage"
OF_GROWTH = "as share of the growth from Origin to One-Stage"


def inputs(study: Study) -> list[Need]:
    """The facts and the probes of the three stages."""
    return [Need("facts"), *dict.fromkeys(Need("categories", state) for state in study.stages.values())]


def growth_of_one_stage(highly: np.ndarray) -> np.ndarray:
    """(two - one) / one, of counts of HighlyKnown at the three stages, shape (…, 3); NaN unless one > 0 (GL: 7.5%)."""
    _, one, two = np.moveaxis(np.asarray(highly, dtype=float), -1, 0)
    return np.divide(two - one, one, out=np.full_like(one, math.nan), where=one > 0)


def growth_of_growth(highly: np.ndarray) -> np.ndarray:
    """(two - one) / (one - origin), as `growth_of_one_stage`; NaN unless one > origin (GL: 24%)."""
    origin, one, two = np.moveaxis(np.asarray(highly, dtype=float), -1, 0)
    return np.divide(two - one, one - origin, out=np.full_like(one, math.nan), where=one > origin)


RATIOS = {
    OF_ONE_STAGE: (growth_of_one_stage, "One-Stage has no HighlyKnown fact"),
    OF_GROWTH: (growth_of_growth, "HighlyKnown did not grow from Origin to One-Stage"),
}


def build(study: Study, inputs: Inputs) -> pd.DataFrame:
    """A row per model, category and stage, then one per ratio: its count is the growth in facts, its share the ratio.

    Counts are means over the seeds. A ratio without a positive denominator in some seed has no share but a `note`.
    """
    rows = []
    for model in study.models:
        printed = printed_at_levels(numbers(10, model.paper), GREEDY_ONLY)
        states = {
            stage: [merged(inputs[seed, model.name, Need("categories", state)]) for seed in study.seeds]
            for stage, state in study.stages.items()
        }
        for stage, tables in states.items():
            for first, table in zip(states[STAGES[0]], tables, strict=True):
                check_same_facts(first.index, table.index, f"the categories of {study.stages[stage]}")
        sizes = [len(table) for table in states[STAGES[0]]]
        common = {"seeds": len(study.seeds), "n": sum(sizes) / len(sizes)}
        for category in GREEDY_ONLY:
            for stage, state in study.stages.items():
                found = [int(counts(table, GREEDY_ONLY)[category]) for table in states[stage]]
                paper = printed.get((category, stage), math.nan)
                total = sum(value for (_, column), value in printed.items() if column == stage)
                rows.append(
                    {
                        "model": model.name,
                        "label": model.label,
                        "type": category,
                        "stage": stage,
                        "state": state,
                        "paper_count": paper,
                        "paper_share": paper / total if total else math.nan,
                        "count": sum(found) / len(found),
                        **estimate_columns("share", share_over_seeds(found, sizes)),
                        **common,
                    }
                )
        highly = [
            np.column_stack([(states[stage][i] == HIGHLY).to_numpy() for stage in STAGES]) for i in range(len(sizes))
        ]
        paper = np.array([printed.get((HIGHLY, stage), math.nan) for stage in STAGES])
        for name, (ratio, reason) in RATIOS.items():
            share = _over_seeds([bootstrap(facts, ratio) for facts in highly])
            undefined = [seed for seed, facts in zip(study.seeds, highly, strict=True) if np.isnan(ratio(facts.sum(0)))]
            rows.append(
                {
                    "model": model.name,
                    "label": model.label,
                    "type": GROWTH,
                    "stage": name,
                    "paper_count": paper[2] - paper[1],
                    "paper_share": float(ratio(paper)),
                    "count": float(np.mean([facts[:, 2].sum() - facts[:, 1].sum() for facts in highly])),
                    **estimate_columns("share", share),
                    **common,
                    "note": f"{reason} (seed {', '.join(map(str, undefined))})" if undefined else None,
                }
            )
    return pd.DataFrame(rows)


def _over_seeds(ratios: list[Estimate]) -> Estimate:
    """The ratio of one seed with its interval, or the mean over the seeds with the t interval; NaN if one is undefined."""
    if len(ratios) == 1:
        return ratios[0]
    values = [ratio.value for ratio in ratios]
    return Estimate(math.nan, math.nan, math.nan) if np.isnan(values).any() else mean_interval(values)


SPEC = TableSpec(
    number=10,
    caption=CAPTIONS[10],
    inputs=inputs,
    build=build,
    columns=(
        text("Model", "label"),
        text("Type", "type"),
        text("Stage", "stage"),
        count("Paper", "paper_count"),
        percent("Paper, %", "paper_share"),
        count("Ours", "count"),
        percent_interval("Ours, %", "share"),
    ),
    required=("count", "share", "share_low", "share_high", "n"),
    unit="train facts",
    remark="The last rows of a model are the paper's headline: facts that stage two adds to HighlyKnown, and their ratio to "
    "what is named under Stage.",
)
