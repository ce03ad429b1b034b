"""GL Tables 3, 4 and 12: which categories facts move to, by stage 1 (3), in a second probe (4) and by stage 2 (12)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradual.ground import statistics
from gradual.knowledge.categories import FULL, GREEDY_ONLY, MAYBE, UNKNOWN, WEAKLY
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.study.runs import ORIGIN
from gradual.tables import reading
from gradual.tables.gradual_learning import paper
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import MISSING, count, percent, percents
from gradual.tables.spec import Column, Model, Results, TableSpec

TRAINING, RETEST, SECOND = 3, 4, 12


def needs_training(study: Study, model: Model) -> list[Result]:
    """The probes of the origin and of the one-stage model, and the re-probe of the origin if the study has one."""
    if not model.has(study.one_stage):
        return []
    retest = [Result(CATEGORIES, ORIGIN, 1)] if study.retests else []
    return [Result(FACTS), Result(CATEGORIES), Result(CATEGORIES, study.one_stage), *retest]


def needs_retest(study: Study, model: Model) -> list[Result]:
    """Two probes of the origin."""
    return [Result(FACTS), Result(CATEGORIES), Result(CATEGORIES, ORIGIN, 1)] if study.retests else []


def needs_second(study: Study, model: Model) -> list[Result]:
    """The probes of the one-stage and of the two-stage model."""
    if not model.has(study.one_stage, study.two_stage):
        return []
    return [Result(FACTS), Result(CATEGORIES, study.one_stage), Result(CATEGORIES, study.two_stage)]


def _probes(
    loaded: Results, study: Study, key: str, state: str, probe: int = 0, classes: tuple[str, ...] = GREEDY_ONLY
) -> list[pd.Series]:
    return [reading.categories(loaded, seed, key, state, probe, classes) for seed in study.seeds]


def build_training(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, type at origin and type after stage one.

    `retest_share_of_origin` is the share that a re-probe of the origin puts into the new type. `net_share_of_origin` is
    what training adds to this share. Both are empty without a re-probe.
    """
    rows = []
    for key in study.models:
        before = _probes(loaded, study, key, ORIGIN, classes=FULL)
        after = _probes(loaded, study, key, study.one_stage)
        retest = _probes(loaded, study, key, ORIGIN, 1) if study.retests else []
        for row in _rows(TRAINING, study, key, FULL, before, after):
            noise = _noise(before, retest, after, row["origin_type"], row["new_type"])
            rows.append(row | noise | {"chosen_on": study.choose_on})
    return pd.DataFrame(rows)


def build_retest(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, type in the first probe and type in the second."""
    rows: list[dict[str, Any]] = []
    for key in study.models:
        before, after = _probes(loaded, study, key, ORIGIN), _probes(loaded, study, key, ORIGIN, 1)
        rows += _rows(RETEST, study, key, GREEDY_ONLY, before, after)
    return pd.DataFrame(rows)


def build_second(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, type after stage one and type after stage two."""
    rows: list[dict[str, Any]] = []
    for key in study.models:
        before, after = (_probes(loaded, study, key, state) for state in (study.one_stage, study.two_stage))
        rows += [row | {"chosen_on": study.choose_on} for row in _rows(SECOND, study, key, GREEDY_ONLY, before, after)]
    return pd.DataFrame(rows)


def _rows(
    number: int,
    study: Study,
    key: str,
    origins: tuple[str, ...],
    before: Sequence[pd.Series],
    after: Sequence[pd.Series],
) -> list[dict[str, Any]]:
    """The rows of one model; shares are of all train facts and of those of the origin type (0..1)."""
    model = study.models[key]
    cells = paper.values(number, model.paper)
    tables = [reading.cross(b, a, origins, GREEDY_ONLY) for b, a in zip(before, after, strict=True)]
    sizes = [len(labels) for labels in before]
    rows: list[dict[str, Any]] = []
    for origin in origins:
        of_origin = [int(table.loc[origin].sum()) for table in tables]
        paper_of_origin = sum(value for (row, _), value in cells.items() if row == origin)
        for new in GREEDY_ONLY:
            found = [int(table.loc[origin, new]) for table in tables]
            share = statistics.share_over_seeds(found, sizes)
            within = statistics.share_over_seeds(found, of_origin)
            value = cells.get((origin, new))
            rows.append(
                {
                    "model": key,
                    "label": model.label,
                    "paper_model": model.paper,
                    "origin_type": origin,
                    "new_type": new,
                    "paper_count": value,
                    "paper_share": None if value is None else value / sum(cells.values()),
                    "paper_share_of_origin": None if value is None else value / paper_of_origin,
                    "count": sum(found) / len(found),
                    **share.columns("share"),
                    **within.columns("share_of_origin"),
                    "n": sum(sizes) / len(sizes),
                    "seeds": len(study.seeds),
                    "scoring": study.scoring,
                }
            )
    return rows


def _noise(
    before: Sequence[pd.Series], retest: Sequence[pd.Series], after: Sequence[pd.Series], origin: str, new: str
) -> dict[str, float]:
    """The share of the origin type that has the new type in the re-probe, and what training adds to this share."""
    retested, net = statistics.UNDEFINED, statistics.UNDEFINED
    if retest:
        pairs: list[tuple[np.ndarray, np.ndarray]] = []
        for b, r, a in zip(before, retest, after, strict=True):
            of_origin = (b == origin).to_numpy()
            pairs.append(((r == new).to_numpy()[of_origin], (a == new).to_numpy()[of_origin]))
        retested = statistics.share_over_seeds([int(r.sum()) for r, _ in pairs], [len(r) for r, _ in pairs])
        net = statistics.difference_over_seeds(pairs)
    return {
        "retest_share_of_origin": retested.value,
        **net.columns("net_share_of_origin"),
    }


def _bold(row: pd.Series, cell: str) -> str:
    """GL prints in bold what rises to MaybeKnown."""
    risen = row["origin_type"] in (WEAKLY, UNKNOWN) and row["new_type"] == MAYBE
    return f"**{cell}**" if risen and cell != MISSING else cell


_COLUMNS = (
    Column("Origin type", lambda row: row["origin_type"], right=False),
    Column("New type", lambda row: row["new_type"], right=False),
    Column("Paper", lambda row: _bold(row, count(row["paper_count"]))),
    Column("Paper: %", lambda row: percent(row["paper_share_of_origin"])),
    Column("Ours", lambda row: _bold(row, count(row["count"]))),
    Column("Ours: % [95% interval]", lambda row: percents(row, "share_of_origin")),
)
_SHARES = "Shares are of the facts of the origin type."

TRAINING_SPEC = TableSpec(
    name="table_03",
    number=TRAINING,
    reported=paper.models(TRAINING),
    uses=("one_stage", "retests", "choose_on"),
    caption="A statistical analysis of the changes in knowledge types after the first stage of fine-tuning. Since "
    "distinguishing between ‘Weakly Known’ and ‘Unknown’ is costly and less relevant to our approach (as we only need "
    "to differentiate between ‘Highly Known’, ‘Maybe Known’, or neither when selecting training data), these two "
    "categories were grouped together. We have highlighted in bold the parts where the mastery level transitions from "
    'a lower level to "Maybe Known."',
    needs=needs_training,
    build=build_training,
    columns=(
        *_COLUMNS,
        Column("Net of re-probe [95% interval]", lambda row: percents(row, "net_share_of_origin", "+.1f")),
    ),
    facts="train facts",
    note=f"{_SHARES} The re-probe asks the model before fine-tuning again, with other prompts (Table 4). The share net of "
    "the re-probe, in points, is what training adds on the same facts.",
)
RETEST_SPEC = TableSpec(
    name="table_04",
    number=RETEST,
    reported=paper.models(RETEST),
    uses=("retests",),
    caption="The differences in results when testing knowledge types twice using the same model.",
    needs=needs_retest,
    build=build_retest,
    columns=_COLUMNS,
    facts="train facts",
    note=_SHARES,
)
SECOND_SPEC = TableSpec(
    name="table_12",
    number=SECOND,
    reported=paper.models(SECOND),
    uses=("one_stage", "two_stage", "choose_on"),
    caption="The changes in knowledge types before and after the second stage of fine-tuning.",
    needs=needs_second,
    build=build_second,
    columns=_COLUMNS,
    facts="train facts",
    note=_SHARES,
)
