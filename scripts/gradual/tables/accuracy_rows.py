"""Rows of test accuracies: a state at its chosen epoch, compared with another on the same test facts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.tables import reading
from gradual.tables.markdown import number, with_interval
from gradual.tables.spec import Column, Results, Study


class Line(NamedTuple):
    """A row: its name, its state, the state that it is compared with, and the paper's number and gain for it."""

    name: str
    state: str
    reference: str | None = None
    paper: float | None = None
    paper_gain: float | None = None


def rows(loaded: Results, study: Study, key: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """A row per line, of one model; accuracies in percent, gains over the reference in points."""
    return [_row(loaded, study, key, line) for line in lines]


# Which facts count: by seed, True or False for every fact (see `reading.among`). None: all facts.
Counted = Sequence[pd.Series] | None


def difference(
    loaded: Results, study: Study, key: str, before: str, after: str, counted: Counted = None
) -> statistics.Estimate:
    """The test accuracy (0..1) of `after` minus that of `before`, on the same facts, each at its chosen epoch."""
    return statistics.difference_over_seeds(pairs(loaded, study, key, before, after, counted))


def pairs(
    loaded: Results, study: Study, key: str, before: str, after: str, counted: Counted = None
) -> list[tuple[pd.Series, pd.Series]]:
    """Right or wrong (bool) for every test fact that counts before and after, sorted by fact_id; one pair per seed."""
    found = []
    for i, seed in enumerate(study.seeds):
        b, a = (reading.chosen_grades(loaded, study, seed, key, state) for state in (before, after))
        if not b.index.equals(a.index):
            problem = f"the test facts of {after} are not those of {before}"
            raise InputError("evaluation grades", problem, "the same facts", key="fact_id")
        found.append((b, a) if counted is None else (reading.among(b, counted[i]), reading.among(a, counted[i])))
    return found


def share(found: Sequence[pd.Series]) -> statistics.Estimate:
    """The share of True in a boolean series per seed, by fact and perhaps by wording."""
    counts, totals = [int(f.sum()) for f in found], [len(f) for f in found]
    return statistics.share_over_seeds(counts, totals, facts=facts_of(found))


def facts_of(found: Sequence[pd.Series]) -> list[int]:
    """How many facts each series is about. One by fact and wording has several answers about a fact."""
    return [f.index.get_level_values("fact_id").nunique() if f.index.nlevels > 1 else len(f) for f in found]


def on_facts(
    loaded: Results, study: Study, key: str, state: str, reference: str | None, counted: Counted
) -> tuple[statistics.Estimate, statistics.Estimate, float]:
    """A state's test accuracy (0..1) on the facts that count, its gain over another state there, and n (mean over seeds).

    Accuracy and gain leave out seeds without such a fact. They are undefined (NaN) if no seed has one, and a gain is
    undefined without another state.
    """
    kept = pairs(loaded, study, key, reference or state, state, counted)
    gain = statistics.UNDEFINED if reference is None else statistics.difference_over_seeds(kept)
    return share([after for _, after in kept]), gain, float(np.mean([len(after) for _, after in kept]))


def common(study: Study, key: str) -> dict[str, Any]:
    """The columns that every table has: the names of the model, the number of seeds and the scoring rule."""
    model = study.models[key]
    return {
        "model": key,
        "label": model.label,
        "paper_model": model.paper,
        "seeds": len(study.seeds),
        "scoring": study.scoring,
    }


def _row(loaded: Results, study: Study, key: str, line: Line) -> dict[str, Any]:
    by_epoch = [reading.accuracy(loaded, seed, key, line.state) for seed in study.seeds]
    graded = [reading.chosen_grades(loaded, study, seed, key, line.state) for seed in study.seeds]
    gain, p = statistics.UNDEFINED, None
    if line.reference is not None:
        compared = pairs(loaded, study, key, line.reference, line.state)
        gain = statistics.difference_over_seeds(compared)
        p = statistics.mcnemar(*compared[0]) if len(compared) == 1 else None
    epochs = [reading.chosen_epoch(loaded, study, seed, key, line.state) for seed in study.seeds]
    return {
        **common(study, key),
        "name": line.name,
        "paper_percent": line.paper,
        "paper_gain_points": line.paper_gain,
        "epoch": " ".join(map(str, epochs)),
        **share(graded).columns("percent", 100),
        **gain.columns("gain_points", 100),
        "mcnemar_p": p,
        "max_over_epochs_percent": 100 * float(np.mean([a["accuracy"].max() for a in by_epoch])),
        "max_epoch": " ".join(str(a["accuracy"].idxmax()) for a in by_epoch),
        "final_percent": 100 * float(np.mean([a["accuracy"].iloc[-1] for a in by_epoch])),
        "n": float(np.mean([len(g) for g in graded])),
        "chosen_on": study.choose_on,
    }


PAPER = Column("Paper: max", lambda row: number(row["paper_percent"]))
PAPER_GAIN = Column("Paper: gain", lambda row: number(row["paper_gain_points"], "+.2f"))
MAX = Column("Ours: max", lambda row: number(row["max_over_epochs_percent"]))
CHOSEN = Column("Ours [95% interval]", lambda row: with_interval(row, "percent"))
GAIN = Column("Gain [95% interval]", lambda row: with_interval(row, "gain_points", "+.2f"))
OURS = (CHOSEN, GAIN)
BESIDE_THE_PAPER = (PAPER, PAPER_GAIN, MAX, *OURS)

NOTE = "Accuracies are on the test set at the chosen epoch, in percent. Gains are in points."
NOTE_BESIDE_THE_PAPER = (
    f"{NOTE} The maximum (max) is over the epochs. It is taken on the test set itself, as in the paper, and so are the "
    "paper's gains."
)
