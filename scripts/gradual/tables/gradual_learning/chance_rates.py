"""WeaklyKnown and its chance rate, by relation. A relation with few different answers inflates WeaklyKnown."""

import pandas as pd

from gradual.study.result_files import CHANCE, Result
from gradual.tables import accuracy_rows, reading
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import count, percent
from gradual.tables.spec import Column, Model, Results, TableSpec

ALL = "all"


def needs(study: Study, model: Model) -> list[Result]:
    """The chance rates."""
    return [Result(CHANCE)]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and relation, and one per model for all facts. Counts are means over the seeds, shares are 0..1."""
    rows = []
    for key in study.models:
        tables = [reading.get(loaded, seed, key, Result(CHANCE)).assign(seed=seed) for seed in study.seeds]
        frame = pd.concat(tables, ignore_index=True)
        groups = [*frame.groupby("relation"), (ALL, frame)]
        for relation, group in groups:
            weighted = group.dropna(subset=["chance"])
            held = weighted["facts"].sum()
            of = weighted if relation == ALL else group  # so that both shares of ALL are over the same facts
            rows.append(
                {
                    **accuracy_rows.common(study, key),
                    "relation": relation,
                    "facts": of["facts"].sum() / len(study.seeds),
                    "count": of["weakly_known"].sum() / len(study.seeds),
                    "share": of["weakly_known"].sum() / of["facts"].sum() if of["facts"].sum() else None,
                    "chance": (weighted["chance"] * weighted["facts"]).sum() / held if held else None,
                }
            )
    return pd.DataFrame(rows)


SPEC = TableSpec(
    name="chance",
    caption="WeaklyKnown by chance. The table shows how many of the facts without a right greedy answer have a right "
    "sampled answer, and how many would have one if the samples were those of another fact of the relation.",
    needs=needs,
    build=build,
    columns=(
        Column("Relation", lambda row: row["relation"], right=False),
        Column("Facts without a right greedy answer", lambda row: count(row["facts"])),
        Column("WeaklyKnown", lambda row: count(row["count"])),
        Column("WeaklyKnown: %", lambda row: percent(row["share"])),
        Column("By chance: %", lambda row: percent(row["chance"])),
    ),
    note="The table is about the origin and the train facts. For the chance rate, the answer of each fact is compared with "
    "the sampled answers to up to 20 other facts without a right greedy answer. These facts have the same relation and "
    "another answer, and no greedy answer to them is right for the first fact. The row *all* has only the facts whose "
    "relation has a chance rate, and each of these facts has the same weight.",
)
