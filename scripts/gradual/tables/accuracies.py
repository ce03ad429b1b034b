"""GL Table 7: test accuracy without fine-tuning, after one stage and after two."""

import numpy as np
import pandas as pd

from gradual import statistics
from gradual.errors import InputError
from gradual.tables import paper, results
from gradual.tables.markdown import count, interval, number, probability
from gradual.tables.spec import ACCURACY, CHOSEN, GRADES, ORIGIN, Column, Need, Results, Study, TableSpec

NUMBER = 7
PAPER_COLUMN = "Max Accuracy"


def needs(study: Study) -> list[Need]:
    """Accuracies and grades of the three stages, and the epochs chosen for the two runs."""
    states = study.stages.values()
    return [
        *(Need(ACCURACY, state) for state in states),
        *(Need(GRADES, state) for state in states),
        *(Need(CHOSEN, state) for state in states if state != ORIGIN),
    ]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and stage; accuracies in percent, gains over the previous stage in points."""
    rows = []
    for key, model in study.models.items():
        cells = paper.values(NUMBER, model.paper)
        previous: list[pd.Series] = []
        paper_previous: float | None = None
        for stage, state in study.stages.items():
            accuracies = [results.test_accuracy(loaded, seed, key, state) for seed in study.seeds]
            epochs = [
                0 if state == ORIGIN else results.chosen_epoch(loaded, study, seed, key, state) for seed in study.seeds
            ]
            grades = [
                results.test_grades(loaded, study, seed, key, state, epoch)
                for seed, epoch in zip(study.seeds, epochs, strict=True)
            ]
            accuracy = statistics.share_over_seeds([int(g.sum()) for g in grades], [len(g) for g in grades])
            gain, p = statistics.UNDEFINED, None
            if previous:
                pairs = list(zip(previous, grades, strict=True))
                if not all(before.index.equals(after.index) for before, after in pairs):
                    problem = f"the test facts of {state} are not those of the stage before"
                    raise InputError("evaluation grades", problem, "the same facts", key="fact_id")
                gain = statistics.difference_over_seeds([(b.to_numpy(), a.to_numpy()) for b, a in pairs])
                p = statistics.mcnemar(*map(pd.Series.to_numpy, pairs[0])) if len(pairs) == 1 else None
            value = cells.get((stage, PAPER_COLUMN))
            rows.append(
                {
                    "model": key,
                    "label": model.label,
                    "paper_model": model.paper,
                    "stage": stage,
                    "paper_max_percent": value,
                    "paper_gain_points": None if paper_previous is None else round(value - paper_previous, 2),
                    "epoch": " ".join(map(str, epochs)),
                    "percent": 100 * accuracy.value,
                    "percent_low": 100 * accuracy.low,
                    "percent_high": 100 * accuracy.high,
                    "gain_points": 100 * gain.value,
                    "gain_points_low": 100 * gain.low,
                    "gain_points_high": 100 * gain.high,
                    "mcnemar_p": p,
                    "max_over_epochs_percent": 100 * float(np.mean([a["accuracy"].max() for a in accuracies])),
                    "max_epoch": " ".join(str(a["accuracy"].idxmax()) for a in accuracies),
                    "n": np.mean([len(g) for g in grades]),
                    "seeds": len(study.seeds),
                    "scoring": study.scoring,
                    "chosen_on": study.choose_on,
                }
            )
            previous, paper_previous = grades, value
    return pd.DataFrame(rows)


SPEC = TableSpec(
    number=NUMBER,
    caption="Accuracy results obtained using two-stage fine-tuning, one-stage fine-tuning, and without fine-tuning.",
    needs=needs,
    build=build,
    columns=(
        Column("Model", lambda row: row["label"], right=False),
        Column("Stage", lambda row: row["stage"], right=False),
        Column("Paper: max over epochs", lambda row: number(row["paper_max_percent"])),
        Column("Paper: gain", lambda row: number(row["paper_gain_points"], "+.2f")),
        Column("Ours: max over epochs", lambda row: number(row["max_over_epochs_percent"])),
        Column("Ours: at the chosen epoch", lambda row: number(row["percent"])),
        Column("Ours: 95% interval", lambda row: interval(number(row["percent_low"]), number(row["percent_high"]))),
        Column("Ours: gain", lambda row: number(row["gain_points"], "+.2f")),
        Column(
            "Ours: 95% interval of the gain",
            lambda row: interval(number(row["gain_points_low"], "+.2f"), number(row["gain_points_high"], "+.2f")),
        ),
        Column("Ours: McNemar p", lambda row: probability(row["mcnemar_p"])),
        Column("Ours: chosen epoch", lambda row: str(row["epoch"])),
        Column("Ours: n", lambda row: count(row["n"])),
    ),
    note="Accuracies on test in percent, gains over the stage above in points. Max over epochs is the paper's way: the "
    "epoch is chosen on the test set itself. For one seed the interval is Wilson's, that of the gain is for matched "
    "pairs (Agresti and Min) and p is McNemar's exact; for several seeds intervals are Student's t over the seeds.",
)
