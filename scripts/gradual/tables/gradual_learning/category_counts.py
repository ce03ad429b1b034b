"""GL Table 10: the categories of the train facts at each stage, and the paper's two ratios of growth."""

import math
from collections.abc import Sequence

import pandas as pd

from gradual.ground import statistics
from gradual.knowledge.categories import GREEDY_ONLY, HIGHLY
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.tables import reading
from gradual.tables.gradual_learning import paper
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import count, percent, percents
from gradual.tables.spec import Column, Model, Results, TableSpec

NUMBER = 10
GROWTH = "Growth of HighlyKnown"
OVER_ONE_STAGE = "Two-Stage over One-Stage, as share of One-Stage"
OVER_GROWTH = "Two-Stage over One-Stage, as share of One-Stage over Origin"


def needs(study: Study, model: Model) -> list[Result]:
    """The probes of the three stages."""
    if not model.has(*study.stages.values()):
        return []
    return [Result(FACTS), *(Result(CATEGORIES, state) for state in study.stages.values())]


def growths(origin: float, one: float, two: float) -> dict[str, tuple[float, str]]:
    """The growth of HighlyKnown from One-Stage to Two-Stage in two ratios, from the counts at the three stages.

    GL 4.2.2 gives 7.5% for (two - one) / one and 24% for (two - one) / (one - origin). If a denominator is not
    positive, the ratio is NaN, with the reason.
    """
    return {
        OVER_ONE_STAGE: ((two - one) / one, "") if one > 0 else (math.nan, "One-Stage has no HighlyKnown facts"),
        OVER_GROWTH: ((two - one) / (one - origin), "")
        if one > origin
        else (math.nan, f"One-Stage has no more {HIGHLY} facts than Origin"),
    }


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, category and stage, then one per ratio.

    The count of a ratio is the growth in facts, and its share is the ratio. Other shares are of all train facts (0..1). A
    ratio without a value has a `reason`.
    """
    rows = []
    for key, model in study.models.items():
        cells = paper.values(NUMBER, model.paper)
        probes = {
            stage: [reading.categories(loaded, seed, key, state) for seed in study.seeds]
            for stage, state in study.stages.items()
        }
        counts = {stage: [reading.count(labels, GREEDY_ONLY) for labels in each] for stage, each in probes.items()}
        sizes = [len(labels) for labels in probes["Origin"]]
        common = {
            "n": sum(sizes) / len(sizes),
            "seeds": len(study.seeds),
            "scoring": study.scoring,
            "chosen_on": study.choose_on,
        }
        names = {"model": key, "label": model.label, "paper_model": model.paper}
        for name in GREEDY_ONLY:
            for stage in study.stages:
                found = [table[name] for table in counts[stage]]
                share = statistics.share_over_seeds(found, sizes)
                value = cells.get((name, stage))
                total = sum(cell for (_, column), cell in cells.items() if column == stage)
                rows.append(
                    {
                        **names,
                        "type": name,
                        "stage": stage,
                        "paper_count": value,
                        "paper_share": None if value is None else value / total,
                        "count": sum(found) / len(found),
                        **share.columns("share"),
                        **common,
                        "reason": None,
                    }
                )
        highly = [tuple(counts[stage][i][HIGHLY] for stage in study.stages) for i in range(len(study.seeds))]
        printed = [cells[HIGHLY, stage] for stage in study.stages] if cells else []
        rows += [{**names, **row, **common} for row in _ratios(study, highly, printed)]
    return pd.DataFrame(rows)


def _ratios(
    study: Study, highly: Sequence[tuple[int, ...]], printed: Sequence[float]
) -> list[dict[str, float | str | None]]:
    """The rows of the ratios, from the counts of HighlyKnown at the three stages: ours by seed, and the paper's."""
    rows: list[dict[str, float | str | None]] = []
    for name in (OVER_ONE_STAGE, OVER_GROWTH):
        values = [growths(*counts)[name] for counts in highly]
        undefined = {seed: reason for seed, (_, reason) in zip(study.seeds, values, strict=True) if reason}
        reason = next(iter(undefined.values()), None)
        if reason and len(study.seeds) > 1:
            reason += f" (seed {', '.join(map(str, undefined))})"
        ratio = statistics.UNDEFINED if undefined else statistics.mean_interval([value for value, _ in values])
        rows.append(
            {
                "type": GROWTH,
                "stage": name,
                "paper_count": printed[2] - printed[1] if printed else None,
                "paper_share": growths(*printed)[name][0] if printed else None,
                "count": sum(two - one for _, one, two in highly) / len(highly),
                **ratio.columns("share"),
                "reason": reason,
            }
        )
    return rows


SPEC = TableSpec(
    name="table_10",
    number=NUMBER,
    reported=paper.models(NUMBER),
    uses=("one_stage", "two_stage", "choose_on"),
    caption="The number of different types of knowledge at various stages. From the table, it can be observed that "
    "after two-stage fine-tuning, the classification of ‘Highly Known’ has significantly increased, while the other "
    "types have decreased.",
    needs=needs,
    build=build,
    columns=(
        Column("Type", lambda row: row["type"], right=False),
        Column("Stage", lambda row: row["stage"], right=False),
        Column("Paper", lambda row: count(row["paper_count"])),
        Column("Paper: %", lambda row: percent(row["paper_share"])),
        Column("Ours", lambda row: count(row["count"])),
        Column(
            "Ours: % [95% interval]",
            lambda row: percents(row, "share") if pd.isna(row["reason"]) else f"n/a: {row['reason']}",
        ),
    ),
    facts="train facts",
    note="The caption is the paper's, and it describes the paper's numbers. The growth of HighlyKnown has an interval only "
    "for several seeds.",
)
