"""The paper's claims, each with our effect, its interval, a control and a verdict, and the effect net of guessing."""

import math
from collections.abc import Iterator, Sequence, Sized

import numpy as np
import pandas as pd

from gradual.ground import statistics
from gradual.ground.statistics import UNDEFINED, Estimate
from gradual.knowledge.categories import FULL, GREEDY_ONLY, HIGHLY, MAYBE, UNKNOWN, WEAKLY
from gradual.knowledge.frequent_answers import frequent_golds
from gradual.study.result_files import CATEGORIES, FACTS, SELECTION, Result
from gradual.study.runs import ORIGIN
from gradual.tables import accuracy_rows, reading
from gradual.tables.gradual_learning import graph, longer, paper, strategies
from gradual.tables.gradual_learning.category_counts import OVER_GROWTH, growths
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.spec import Model, Results, TableSpec
from gradual.tables.verdicts import COLUMNS, FALLS, NO_RISE, RISES, STAYS, Claim

GRAPH_MARGIN = RATIO_MARGIN = 0.05


def needs(study: Study, model: Model) -> list[Result]:
    """The results of the claims for which the model has the runs."""
    if not model.has(study.one_stage, study.two_stage):
        return []
    found = [
        Result(FACTS),
        Result(SELECTION, study.one_stage),
        *(Result(CATEGORIES, state) for state in study.stages.values()),
    ]
    found += [need for state in study.stages.values() for need in reading.evaluated(state)]
    if study.retests:
        found.append(Result(CATEGORIES, ORIGIN, 1))
    others = [*study.one_stage_controls[:1], *study.two_stage_controls[:1], *study.rounds[:1]]
    groups: list[tuple[str, ...]] = [(run,) for run in others]
    groups += [tuple(study.longer)] * compares_lengths(study, model)
    groups += [study.strategies] * compares_strategies(study, model)
    found += [n for group in groups if model.has(*group) for run in group for n in reading.evaluated(run)]
    if compares_strategies(study, model):
        found.append(Result(CATEGORIES, ORIGIN, 0, "test"))
    found += [Result(CATEGORIES, run) for run in study.two_stage_controls[:1] if model.has(run)]
    return list(dict.fromkeys(found))


def compares_lengths(study: Study, model: Model) -> bool:
    """Whether there are trainings of different lengths to compare."""
    return len(study.longer) > 1 and model.has(*study.longer)


def compares_strategies(study: Study, model: Model) -> bool:
    """Whether there are other strategies to compare the two-stage run with."""
    return study.two_stage in study.strategies and len(study.strategies) > 1 and model.has(*study.strategies)


def _over_seeds(pairs: Sequence[tuple[pd.Series, pd.Series]]) -> Estimate:
    """The share of the second minus that of the first. Each seed has a pair of boolean series over the same facts."""
    return statistics.difference_over_seeds([(b.to_numpy(), a.to_numpy()) for b, a in pairs])


def _mean_size(found: Sequence[Sized]) -> float:
    """The mean number of values, over the seeds."""
    return float(np.mean([len(values) for values in found]))


class _Model:
    """One model's results, as the claims read them: on all facts, or only on those that count."""

    def __init__(self, loaded: Results, study: Study, key: str, counted: accuracy_rows.Counted = None) -> None:
        self.loaded, self.study, self.key, self.model = loaded, study, key, study.models[key]
        self.counted = counted

    def gain(self, before: str, after: str) -> Estimate:
        return accuracy_rows.difference(self.loaded, self.study, self.key, before, after, self.counted)

    def categories(self, state: str, probe: int = 0, classes: tuple[str, ...] = GREEDY_ONLY) -> list[pd.Series]:
        found = [reading.categories(self.loaded, seed, self.key, state, probe, classes) for seed in self.study.seeds]
        return (
            found if self.counted is None else [reading.among(f, c) for f, c in zip(found, self.counted, strict=True)]
        )

    def tested(self) -> float:
        """How many test facts count, as a mean over the seeds."""
        pairs = accuracy_rows.pairs(self.loaded, self.study, self.key, ORIGIN, ORIGIN, self.counted)
        return _mean_size([right for right, _ in pairs])

    def trained_on(self) -> list[list[str]]:
        """The facts that the one-stage run trains on, by seed."""
        need = Result(SELECTION, self.study.one_stage)
        found = [reading.get(self.loaded, seed, self.key, need) for seed in self.study.seeds]
        return [list(selection.loc[selection["role"] == "train", "fact_id"]) for selection in found]

    def printed(self, number_: int, *cells: tuple[str, str]) -> list[float] | None:
        """The paper's numbers, or None if the paper lacks one of them for the model."""
        values = paper.values(number_, self.model.paper)
        return [values[cell] for cell in cells] if all(cell in values for cell in cells) else None

    def control(self, names: Sequence[str]) -> str | None:
        """The first control, or None if the model does not have it. On some of the facts, no effect is held against it."""
        return next((name for name in names[:1] if self.model.has(name) and self.counted is None), None)


def _stage_lifts(m: _Model, text: str, before: str, after: str, controls: Sequence[str], cells: Sequence[str]) -> Claim:
    """A stage lifts test accuracy; its control is another training from the same state."""
    printed = m.printed(7, *((cell, "Max Accuracy") for cell in cells))
    control = m.control(controls)
    return Claim(
        text,
        RISES,
        m.gain(before, after),
        m.tested(),
        paper=None if printed is None else (printed[1] - printed[0]) / 100,
        control=m.study.title(control) if control else "",
        control_effect=m.gain(before, control) if control else UNDEFINED,
        net=m.gain(control, after) if control else UNDEFINED,
    )


def _untrained_improve(m: _Model) -> Claim:
    """Among WeaklyKnown and Unknown facts that were not trained on, more rise to MaybeKnown or above than in a re-probe."""
    rise = (HIGHLY, MAYBE)
    before, after, again = m.categories(ORIGIN, classes=FULL), m.categories(m.study.one_stage), m.categories(ORIGIN, 1)
    low = [b.isin([WEAKLY, UNKNOWN]) & ~b.index.isin(facts) for b, facts in zip(before, m.trained_on(), strict=True)]
    trained = [a.isin(rise)[mask] for a, mask in zip(after, low, strict=True)]
    noise = [r.isin(rise)[mask] for r, mask in zip(again, low, strict=True)]
    cells = paper.values(3, m.model.paper)
    gained = sum(v for (old, new), v in cells.items() if old in (WEAKLY, UNKNOWN) and new in rise)
    all_ = sum(v for (old, _), v in cells.items() if old in (WEAKLY, UNKNOWN))
    return Claim(
        "Facts that stage 1 does not train on improve beyond noise",
        RISES,
        accuracy_rows.share(trained),
        _mean_size(trained),
        paper=gained / all_ if cells else None,
        control="re-probe",
        control_effect=accuracy_rows.share(noise),
        net=_over_seeds(list(zip(noise, trained, strict=True))),
        beyond=True,
    )


def _highly_known_grows(m: _Model) -> Claim:
    """More train facts are HighlyKnown after stage 1 than before."""
    before, after = ([c == HIGHLY for c in m.categories(state)] for state in (ORIGIN, m.study.one_stage))
    again = [c == HIGHLY for c in m.categories(ORIGIN, 1)] if m.study.retests else []
    cells = paper.values(3, m.model.paper)
    total = sum(cells.values())
    grown = sum(v for (_, new), v in cells.items() if new == HIGHLY)
    grown -= sum(v for (old, _), v in cells.items() if old == HIGHLY)
    return Claim(
        "HighlyKnown grows in stage 1",
        RISES,
        _over_seeds(list(zip(before, after, strict=True))),
        _mean_size(before),
        paper=grown / total if cells else None,
        control="re-probe" if again else "",
        control_effect=_over_seeds(list(zip(before, again, strict=True))) if again else UNDEFINED,
        net=_over_seeds(list(zip(again, after, strict=True))) if again else UNDEFINED,
    )


def _longer_overfits(m: _Model) -> Claim:
    """The final test accuracy of the longest training is below that of the shortest."""
    order = sorted(m.study.longer, key=m.study.longer.__getitem__)
    ends = (order[0], order[-1])
    printed = m.printed(longer.NUMBER, *((str(m.study.longer[run]), longer.FINAL) for run in ends))
    return Claim(
        f"Longer training overfits: accuracy at the end of {m.study.longer[order[-1]]} epochs against "
        f"{m.study.longer[order[0]]}",
        FALLS,
        longer.final_difference(m.loaded, m.study, m.key, order[0], order[-1], m.counted),
        m.tested(),
        paper=None if printed is None else (printed[1] - printed[0]) / 100,
        control="the same at the chosen epochs",
        control_effect=m.gain(order[0], order[-1]),
    )


def _strategy_is_best(m: _Model) -> Claim:
    """The two-stage run is better on test than the other strategy that is best on all test facts."""
    others = [run for run in m.study.strategies if run != m.study.two_stage]
    whole = _Model(m.loaded, m.study, m.key)
    gains = {run: whole.gain(m.study.one_stage, run).value for run in others}
    rival = max(gains, key=gains.__getitem__)
    cells = paper.values(strategies.OVERALL, m.model.paper)
    best = cells.get((paper.name_of(m.study.two_stage), "Max Acc"))
    rest = [cells[paper.name_of(run), "Max Acc"] for run in others if (paper.name_of(run), "Max Acc") in cells]
    return Claim(
        f"{m.study.named(m.study.two_stage)} is best: against the best of the others ({m.study.named(rival)})",
        RISES,
        m.gain(rival, m.study.two_stage),
        m.tested(),
        paper=(best - max(rest)) / 100 if best is not None and rest else None,
        margin=0.0,
    )


def _keeps_highly_known(m: _Model) -> Claim:
    """Accuracy on the test facts that were HighlyKnown at the origin does not fall from stage 1 to stage 2."""

    highly = [labels == HIGHLY for labels in strategies.test_categories(m.loaded, m.study, m.key)]
    if m.counted is not None:
        highly = [labels & counted.loc[labels.index] for labels, counted in zip(highly, m.counted, strict=True)]

    def gain(state: str, reference: str) -> Estimate:
        return accuracy_rows.difference(m.loaded, m.study, m.key, reference, state, highly)

    printed = m.printed(strategies.BY_CATEGORY, ("One-Stage", HIGHLY), (paper.name_of(m.study.two_stage), HIGHLY))
    control = m.control(m.study.two_stage_controls)
    return Claim(
        "Stage 2 keeps HighlyKnown: accuracy on test facts that were HighlyKnown",
        STAYS,
        gain(m.study.two_stage, m.study.one_stage),
        float(np.mean([labels.sum() for labels in highly])),
        paper=None if printed is None else (printed[1] - printed[0]) / 100,
        control=m.study.title(control) if control else "",
        control_effect=gain(control, m.study.one_stage) if control else UNDEFINED,
        net=gain(m.study.two_stage, control) if control else UNDEFINED,
    )


def _round_adds_nothing(m: _Model) -> Claim:
    """A third round does not lift test accuracy over the second stage."""
    printed = paper.values(11, m.model.paper)
    return Claim(
        "A third round adds nothing",
        NO_RISE,
        m.gain(m.study.two_stage, m.study.rounds[0]),
        m.tested(),
        paper=(printed["Multi-Rounds", "Accuracy"] - printed["Two-Stage", "Accuracy"]) / 100 if printed else None,
    )


def _graph_connected(m: _Model) -> Claim:
    """Reclassified facts are linked to MaybeKnown facts more often than as many WeaklyKnown facts of each relation."""
    text = "The graph connects what rises to what was MaybeKnown, beyond chance"
    if m.counted is not None:  # the effect is of nodes, and a node has no gold answer
        return Claim(text, RISES, UNDEFINED, math.nan)
    found = graph.find(m.loaded, m.study, m.key)
    cells = paper.values(graph.NUMBER, m.model.paper)
    shares = [f.links.share for f in found]
    nulls = [float(np.nanmean(f.within.shares)) for f in found if f.links.reclassified]
    return Claim(
        text,
        RISES,
        statistics.mean_interval(shares),
        math.nan,
        paper=cells["Linked Reclassified", "Count"] / cells["Reclassified", "Count"] if cells else None,
        control="as many WeaklyKnown facts of each relation",
        control_effect=statistics.mean_interval(nulls),
        net=graph.excess(found, "within"),
        beyond=True,
        margin=GRAPH_MARGIN,
    )


def _growth(m: _Model) -> Claim:
    """HighlyKnown gained by stage 2, as a share of what stage 1 gained (24% in GL)."""
    control = m.control(m.study.two_stage_controls)
    states = [*m.study.stages.values(), *([control] if control else [])]
    highly = [
        tuple((labels == HIGHLY).to_numpy() for labels in by_state)
        for by_state in zip(*(m.categories(state) for state in states), strict=True)
    ]

    def ratio(origin: np.ndarray, one: np.ndarray, two: np.ndarray) -> float:
        return growths(origin.sum(), one.sum(), two.sum())[OVER_GROWTH][0]

    def difference(origin: np.ndarray, one: np.ndarray, two: np.ndarray, other: np.ndarray) -> float:
        return ratio(origin, one, two) - ratio(origin, one, other)

    cells = paper.values(10, m.model.paper)
    printed = [cells[HIGHLY, stage] for stage in m.study.stages] if cells else None
    return Claim(
        "Stage 2 adds to HighlyKnown (share of what stage 1 added; 24% in the paper)",
        RISES,
        statistics.of_facts([h[:3] for h in highly], ratio),
        _mean_size([origin for origin, *_ in highly]),
        paper=growths(*printed)[OVER_GROWTH][0] if printed else None,
        control=m.study.title(control) if control else "",
        control_effect=statistics.of_facts([(h[0], h[1], h[3]) for h in highly], ratio) if control else UNDEFINED,
        net=statistics.of_facts(highly, difference) if control else UNDEFINED,
        margin=RATIO_MARGIN,
    )


def claims(loaded: Results, study: Study, key: str, counted: accuracy_rows.Counted = None) -> Iterator[Claim]:
    """The claims for which the model has the runs, in the paper's order: on all facts, or only on those that count.

    On some of the facts, the claims are the same, but without their controls where no verdict depends on them.
    """
    m = _Model(loaded, study, key, counted)
    one, two = study.one_stage, study.two_stage
    names = ("Origin", "One-Stage", "Two-Stage")
    yield _stage_lifts(m, "Stage 1 lifts test accuracy", ORIGIN, one, study.one_stage_controls, names[:2])
    if study.retests:
        yield _untrained_improve(m)
    yield _highly_known_grows(m)
    if compares_lengths(study, m.model):
        yield _longer_overfits(m)
    yield _graph_connected(m)
    yield _stage_lifts(m, "Stage 2 lifts test accuracy further", one, two, study.two_stage_controls, names[1:])
    if compares_strategies(study, m.model):
        yield _strategy_is_best(m)
        yield _keeps_highly_known(m)
    yield _growth(m)
    if study.rounds and m.model.has(study.rounds[0]):
        yield _round_adds_nothing(m)


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and claim; effects and intervals are in percent or points."""
    rows = []
    tables = [reading.get(loaded, seed, "", Result(FACTS)) for seed in study.seeds]
    rare = [~frequent_golds(facts, study.scoring, study.answers, study.frequent_share) for facts in tables]
    for key in study.models:
        both = (claims(loaded, study, key, counted) for counted in (None, rare))
        for claim, on_rare in zip(*both, strict=True):
            row = accuracy_rows.common(study, key) | claim.described() | {"chosen_on": study.choose_on} | claim.found()
            row |= on_rare.effect.columns("rare_points", 100)
            row |= {"verdict_rare": "" if np.isnan(on_rare.facts) else on_rare.verdict, "rare_facts": on_rare.facts}
            rows.append(row)
    return pd.DataFrame(rows)


SPEC = TableSpec(
    name="claims",
    caption="The paper's claims, and the verdicts of this study on them.",
    uses=(
        "one_stage",
        "two_stage",
        "retests",
        "longer",
        "strategies",
        "rounds",
        "one_stage_controls",
        "two_stage_controls",
        "choose_on",
        "answers",
        "frequent_share",
    ),
    needs=needs,
    build=build,
    columns=COLUMNS,
    note="Effects are in points. A point is one percent of the facts. For the graph, it is one percent of the "
    "reclassified nodes. For the 24%, it is one percent of what stage 1 added. The smallest effect of interest was set "
    "before any of these results. It is 0.5 points, and 5 points for the graph and for the 24%. For the best strategy, "
    "it is zero. For a claim that something rises or falls, the verdict is *shows* if the whole 95% interval is on the "
    "claimed side of zero, however small the effect is. Otherwise, it is *does not show* if the whole interval is below "
    "the smallest effect of interest (for a fall: above its negative). For a claim that something does not fall, the "
    "verdict is *shows* if the whole interval is above the negative of the smallest effect of interest. Otherwise, it is "
    "*does not show* if the whole interval is below zero. For a claim that something does not rise, the signs are "
    "reversed. In all other cases, the verdict is *undecided*. The best strategy is compared with the other strategy "
    "that is best on test. This choice biases the comparison against the claim. Claims about noise and chance are "
    "decided by the effect net of the control. The other claims are decided by the effect itself. Behind the "
    "control is the verdict on the effect net of the control. The CSV also has the control's effect, the effect net of "
    "it, and the same effect with its verdict on only the facts whose gold answer is rare in its relation (see the table "
    "guessing). For one seed, the intervals for the 24% are bootstrapped over the facts, and the net interval for the "
    "graph comes from the middle 95% of the random draws. With one seed, a verdict holds only for this dataset and this "
    "model. The paper's numbers are from one seed and have no intervals.",
)
