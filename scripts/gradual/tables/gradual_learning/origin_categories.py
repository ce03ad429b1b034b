"""GL Table 2: the categories of the train facts before fine-tuning."""

import pandas as pd

from gradual.ground import statistics
from gradual.knowledge.categories import FULL
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.study.runs import ORIGIN
from gradual.tables import reading
from gradual.tables.gradual_learning import paper
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import count, percent, percents
from gradual.tables.spec import Column, Model, Results, TableSpec

NUMBER = 2


def needs(study: Study, model: Model) -> list[Result]:
    """The facts and the probe of the origin."""
    return [Result(FACTS), Result(CATEGORIES)]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and category; shares are of all train facts (0..1)."""
    rows = []
    for key, model in study.models.items():
        cells = paper.values(NUMBER, model.paper)
        probes = [reading.categories(loaded, seed, key, ORIGIN, classes=FULL) for seed in study.seeds]
        counts = [reading.count(labels, FULL) for labels in probes]
        sizes = [len(labels) for labels in probes]
        for name in FULL:
            found = [table[name] for table in counts]
            share = statistics.share_over_seeds(found, sizes)
            value = cells.get((name, "Num"))
            rows.append(
                {
                    "model": key,
                    "label": model.label,
                    "paper_model": model.paper,
                    "type": name,
                    "paper_count": value,
                    "paper_share": None if value is None else value / sum(cells.values()),
                    "count": sum(found) / len(found),
                    **share.columns("share"),
                    "n": sum(sizes) / len(sizes),
                    "seeds": len(study.seeds),
                    "scoring": study.scoring,
                }
            )
    return pd.DataFrame(rows)


SPEC = TableSpec(
    name="table_02",
    number=NUMBER,
    reported=paper.models(NUMBER),
    caption="The number of knowledge points for each type before fine-tuning.",
    needs=needs,
    build=build,
    columns=(
        Column("Type", lambda row: row["type"], right=False),
        Column("Paper", lambda row: count(row["paper_count"])),
        Column("Paper: %", lambda row: percent(row["paper_share"])),
        Column("Ours", lambda row: count(row["count"])),
        Column("Ours: % [95% interval]", lambda row: percents(row, "share")),
    ),
    facts="train facts",
    note="",
)
