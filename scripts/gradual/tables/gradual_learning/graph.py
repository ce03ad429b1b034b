"""GL Table 5: are facts that rise to MaybeKnown connected to facts that already were MaybeKnown, beyond chance?"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gradual.ground import statistics
from gradual.knowledge import entity_graph
from gradual.knowledge.categories import FULL, GREEDY_ONLY, MAYBE, WEAKLY
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.gradual_learning import paper
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import MISSING, count, percent, percents, probability
from gradual.tables.spec import Column, Model, Part, Results, TableSpec

NUMBER = 5
NODES = ("initial", "reclassified", "linked")
PERMUTATIONS = 1000


class Found(NamedTuple):
    """The graph of one seed and its two nulls: draws from all WeaklyKnown facts, and draws of as many of each relation."""

    links: entity_graph.Links
    anywhere: entity_graph.Null
    within: entity_graph.Null


def needs(study: Study, model: Model) -> list[Result]:
    """The facts and the probes of origin and one-stage model."""
    return (
        [Result(FACTS), Result(CATEGORIES), Result(CATEGORIES, study.one_stage)] if model.has(study.one_stage) else []
    )


def find(loaded: Results, study: Study, key: str) -> list[Found]:
    """The graph and its nulls, by seed."""
    found = []
    for seed in study.seeds:
        before = reading.categories(loaded, seed, key, ORIGIN, classes=FULL)
        after = reading.categories(loaded, seed, key, study.one_stage, classes=GREEDY_ONLY)
        facts = reading.get(loaded, seed, "", Result(FACTS)).set_index("fact_id").loc[before.index]
        risen = (before == WEAKLY) & (after == MAYBE)
        initial = entity_graph.nodes(entity_graph.edges(facts[before == MAYBE]))
        observed = entity_graph.links(initial, entity_graph.edges(facts[risen]))
        weak = facts[before == WEAKLY]
        groups = [group for _, group in weak.groupby("relation")]
        pools = [entity_graph.edges(group) for group in groups]
        draws = [int(risen[group.index].sum()) for group in groups]
        found.append(
            Found(
                observed,
                entity_graph.permuted(
                    initial, [entity_graph.edges(weak)], [int(risen.sum())], observed, PERMUTATIONS, seed
                ),
                entity_graph.permuted(initial, pools, draws, observed, PERMUTATIONS, seed),
            )
        )
    return found


def excess(found: list[Found], null: str) -> statistics.Estimate:
    """The share of linked nodes minus the mean share of the null.

    The interval comes from the null's middle 95% for one seed, else it is Student's t over the seeds.
    """
    each = [(f.links.share, getattr(f, null).shares) for f in found]
    if len(each) > 1:
        return statistics.mean_interval([share - float(np.nanmean(shares)) for share, shares in each])
    share, shares = each[0]
    if np.isnan(share):
        return statistics.UNDEFINED
    low, high = np.nanpercentile(shares, [2.5, 97.5])
    return statistics.Estimate(share - float(np.nanmean(shares)), share - high, share - low)


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model; shares are of the reclassified nodes (0..1), and p-values are listed by seed."""
    rows = []
    for key, model in study.models.items():
        found = find(loaded, study, key)
        cells = paper.values(NUMBER, model.paper)
        row: dict[str, Any] = accuracy_rows.common(study, key) | {"chosen_on": study.choose_on}
        for name, column in (
            ("initial", "Initial"),
            ("reclassified", "Reclassified"),
            ("linked", "Linked Reclassified"),
        ):
            row[f"paper_{name}"] = cells.get((column, "Count"))
            row[name] = float(np.mean([getattr(f.links, name) for f in found]))
        row["paper_share"] = row["paper_linked"] / row["paper_reclassified"] if cells else None
        row["share"] = statistics.mean_interval([f.links.share for f in found]).value
        for null in ("anywhere", "within"):
            over = excess(found, null)
            row[f"{null}_null"] = statistics.mean_interval(
                [float(np.nanmean(getattr(f, null).shares)) for f in found if f.links.reclassified]
            ).value
            row |= {f"{null}_over": over.value, f"{null}_over_low": over.low, f"{null}_over_high": over.high}
            row[f"{null}_p"] = " ".join(probability(getattr(f, null).p) for f in found)
        rows.append(row)
    return pd.DataFrame(rows)


def _p(value: Any) -> str:
    """The p-values by seed. With one seed the CSV has a number."""
    return value if isinstance(value, str) else probability(value)


def _upright(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per number of a model, with the cells of the paper's and of ours."""
    row = frame.iloc[0]
    told = [(f"{name.capitalize()} nodes", count(row[f"paper_{name}"]), count(row[name])) for name in NODES]
    told.append(("Linked, in percent", percent(row["paper_share"]), percent(row["share"])))
    for null in ("anywhere", "within"):
        told.append((f"Null {null}: linked, in percent", MISSING, percent(row[f"{null}_null"])))
        told.append(
            (f"Ours over null {null}, in points [95% interval]", MISSING, percents(row, f"{null}_over", "+.1f"))
        )
        told.append((f"p against null {null}", MISSING, _p(row[f"{null}_p"])))
    return pd.DataFrame(told, columns=["number", "paper", "ours"])


SPEC = TableSpec(
    name="table_05",
    number=NUMBER,
    reported=paper.models(NUMBER),
    uses=("one_stage", "choose_on"),
    caption="The connections between knowledge initially classified as 'Maybe Known' and the knowledge that transitioned "
    "from 'Weakly Known' to 'Maybe Known' after the first stage of fine-tuning.",
    needs=needs,
    build=build,
    columns=(
        Part(
            "",
            (
                Column("Number", lambda row: row["number"], right=False),
                Column("Paper", lambda row: row["paper"]),
                Column("Ours", lambda row: row["ours"]),
            ),
            _upright,
        ),
    ),
    note="Nodes are the subjects and answers of facts. A node of both initial and reclassified facts counts only as "
    f"initial. Each null replaces the reclassified facts with as many WeaklyKnown facts, drawn at random {PERMUTATIONS:,} "
    "times. The null *anywhere* draws from all WeaklyKnown facts. The null *within* draws as many facts of each relation "
    "as were reclassified. p is one-sided, and there is one p per seed. For one seed, the interval comes from the middle "
    "95% of the null.",
)
