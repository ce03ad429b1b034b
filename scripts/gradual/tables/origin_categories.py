"""Table 2: how many facts of each category the untouched model has."""

import math

import pandas as pd

from gradual.statistics import share_over_seeds
from gradual.tables.categories import at_levels, counts, levels_of, printed_at_levels
from gradual.tables.paper import CAPTIONS, numbers
from gradual.tables.spec import (
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

PROBE = Need("categories")


def inputs(study: Study) -> list[Need]:
    """The facts and the probe of the origin."""
    return [Need("facts"), PROBE]


def build(study: Study, inputs: Inputs) -> pd.DataFrame:
    """A row per model and category; counts are means over the seeds."""
    levels = levels_of(inputs[seed, model.name, PROBE] for seed in study.seeds for model in study.models)
    rows = []
    for model in study.models:
        printed = printed_at_levels(numbers(2, model.paper), levels)
        probes = [at_levels(inputs[seed, model.name, PROBE], levels) for seed in study.seeds]
        tables = [counts(probe, levels) for probe in probes]
        sizes = [len(probe) for probe in probes]
        for level in levels:
            found = [int(table[level]) for table in tables]
            paper = printed.get((level, "Num"), math.nan)
            rows.append(
                {
                    "model": model.name,
                    "label": model.label,
                    "category": level,
                    "paper_count": paper,
                    "paper_share": paper / sum(printed.values()) if printed else math.nan,
                    "count": sum(found) / len(found),
                    **estimate_columns("share", share_over_seeds(found, sizes)),
                    "seeds": len(study.seeds),
                    "n": sum(sizes) / len(sizes),
                }
            )
    return pd.DataFrame(rows)


SPEC = TableSpec(
    number=2,
    caption=CAPTIONS[2],
    inputs=inputs,
    build=build,
    columns=(
        text("Model", "label"),
        text("Type", "category"),
        count("Paper", "paper_count"),
        percent("Paper, %", "paper_share"),
        count("Ours", "count"),
        percent_interval("Ours, %", "share"),
    ),
    required=("count", "share", "share_low", "share_high", "n"),
    unit="train facts",
)
