"""Tables 3 and 4: how categories change, by training (3) and from one probe of the same model to the next (4)."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from gradual.knowledge import GREEDY_ONLY, MAYBE, UNKNOWN, WEAKLY, WEAKLY_OR_UNKNOWN
from gradual.statistics import difference_over_seeds, share_over_seeds
from gradual.tables.categories import at_levels, counts, levels_of, merged, printed_at_levels
from gradual.tables.loading import check_same_facts
from gradual.tables.paper import CAPTIONS, numbers
from gradual.tables.spec import (
    Column,
    Inputs,
    Need,
    Study,
    TableSpec,
    count,
    estimate_columns,
    interval,
    percent,
    percent_interval,
    text,
)

PROBE, RETEST = Need("categories"), Need("categories", probe=1)


def crosstab(before: pd.Series, after: pd.Series, rows: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """How many facts went from each category of `rows` to each of `columns`, zeros included.

    Both series are by fact_id. Raises InputError where they have different facts, ValueError where the margins are not
    the counts of the categories.
    """
    check_same_facts(before.index, after.index, "the second probe")
    table = pd.crosstab(before, after).reindex(index=rows, columns=columns, fill_value=0)
    if list(table.sum(axis=1)) != list(counts(before, rows)) or list(table.sum()) != list(counts(after, columns)):
        raise ValueError("the margins of the table differ from the counts of the categories")
    return table


def inputs_training(study: Study) -> list[Need]:
    """The facts, the probes of origin and one-stage model, and a re-probe of the origin where there is one."""
    return [Need("facts"), PROBE, Need("categories", study.one_stage), *([RETEST] if study.retests else [])]


def inputs_retest(study: Study) -> list[Need]:
    """The facts and two probes of the origin."""
    return [Need("facts"), PROBE, RETEST]


def build_training(study: Study, inputs: Inputs) -> pd.DataFrame:
    """A row per model, category at origin and category after stage one."""
    levels = levels_of(inputs[seed, model.name, PROBE] for seed in study.seeds for model in study.models)
    return _build(3, levels, Need("categories", study.one_stage), RETEST if study.retests else None, study, inputs)


def build_retest(study: Study, inputs: Inputs) -> pd.DataFrame:
    """A row per model, category in the first probe and category in the second."""
    return _build(4, GREEDY_ONLY, RETEST, None, study, inputs)


def _build(
    number: int, levels: Sequence[str], after_need: Need, retest_need: Need | None, study: Study, inputs: Inputs
) -> pd.DataFrame:
    rows = []
    for model in study.models:
        read = partial(_read_merged, study, inputs, model.name)
        before = [at_levels(inputs[seed, model.name, PROBE], levels) for seed in study.seeds]
        after, retest = read(after_need), read(retest_need) if retest_need else None
        tables = [crosstab(b, a, levels, GREEDY_ONLY) for b, a in zip(before, after, strict=True)]
        printed = printed_at_levels(numbers(number, model.paper), levels)
        for origin in levels:
            printed_origin = sum(value for (row, _), value in printed.items() if row == origin)
            sizes = [int(table.loc[origin].sum()) for table in tables]
            for new in GREEDY_ONLY:
                found = [int(table.loc[origin, new]) for table in tables]
                paper = printed.get((origin, new), math.nan)
                row = {
                    "model": model.name,
                    "label": model.label,
                    "origin_type": origin,
                    "new_type": new,
                    "paper_count": paper,
                    "paper_share": paper / sum(printed.values()) if printed else math.nan,
                    "paper_share_of_origin": paper / printed_origin if printed else math.nan,
                    "count": sum(found) / len(found),
                    **estimate_columns("share", share_over_seeds(found, [len(b) for b in before])),
                    **estimate_columns("share_of_origin", share_over_seeds(found, sizes)),
                }
                if retest:
                    row |= _noise(before, retest, after, origin, new)
                rows.append(row | {"seeds": len(study.seeds), "n": sum(map(len, before)) / len(before)})
    return pd.DataFrame(rows)


def _read_merged(study: Study, inputs: Inputs, model: str, need: Need) -> list[pd.Series]:
    return [merged(inputs[seed, model, need]) for seed in study.seeds]


def _noise(
    before: list[pd.Series], retest: list[pd.Series], after: list[pd.Series], origin: str, new: str
) -> dict[str, float]:
    """The share of the origin type that is `new` in a re-probe of the untouched model, and what training adds to it."""
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for b, r, a in zip(before, retest, after, strict=True):
        check_same_facts(b.index, r.index, "the second probe of the origin")
        there = (b == origin).to_numpy()
        pairs.append(((r == new).to_numpy()[there], (a == new).to_numpy()[there]))
    retested = share_over_seeds([int(r.sum()) for r, _ in pairs], [len(r) for r, _ in pairs])
    return {"retest_share_of_origin": retested.value, **estimate_columns("net_of_retest", difference_over_seeds(pairs))}


def _bold_if_risen_to_maybe(column: Column) -> Column:
    """The column with the facts that rose from a lower category to MaybeKnown in bold, as in GL's Table 3."""

    def cell(row: pd.Series) -> str:
        risen = row["origin_type"] in (WEAKLY, UNKNOWN, WEAKLY_OR_UNKNOWN) and row["new_type"] == MAYBE
        return f"**{column.cell(row)}**" if risen else column.cell(row)

    return Column(column.header, column.key, cell, column.right)


_NAMES = (text("Model", "label"), text("Origin type", "origin_type"), text("New type", "new_type"))
_NUMBERS = (
    count("Paper", "paper_count"),
    percent("Paper, %", "paper_share"),
    percent("Paper, % of origin type", "paper_share_of_origin"),
    count("Ours", "count"),
    percent_interval("Ours, %", "share"),
    percent_interval("Ours, % of origin type", "share_of_origin"),
)
_REQUIRED = ("count", "share", "share_low", "share_high", "n")

TRAINING = TableSpec(
    number=3,
    caption=CAPTIONS[3],
    inputs=inputs_training,
    build=build_training,
    columns=(
        *_NAMES,
        *(_bold_if_risen_to_maybe(column) if column.key in ("paper_count", "count") else column for column in _NUMBERS),
        percent("Re-probe, % of origin type", "retest_share_of_origin"),
        interval("Net of re-probe, points", "net_of_retest", digits=1, scale=100, sign=True),
    ),
    required=_REQUIRED,
    unit="train facts",
    remark="The re-probe asks the untouched model again with other prompts (Table 4); net of it is what training adds.",
)
RETESTED = TableSpec(
    number=4,
    caption=CAPTIONS[4],
    inputs=inputs_retest,
    build=build_retest,
    columns=(*_NAMES, *_NUMBERS),
    required=_REQUIRED,
    unit="train facts",
)
