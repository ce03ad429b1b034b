"""GL Table 6: the test accuracy of longer trainings of stage 1, at its maximum and after the last epoch."""

import pandas as pd

from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.study.result_files import Result
from gradual.tables import accuracy_rows, reading
from gradual.tables.accuracy_rows import Line
from gradual.tables.gradual_learning import paper
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import number, with_interval
from gradual.tables.spec import Column, Model, Results, TableSpec

NUMBER = 6
MAX, FINAL = "Max Acc", "Final Acc"  # the paper's columns


def needs(study: Study, model: Model) -> list[Result]:
    """The evaluations of the one-stage run and of its longer trainings."""
    return (
        [n for run in study.longer for n in reading.evaluated(run)] if study.longer and model.has(*study.longer) else []
    )


def final_difference(
    loaded: Results, study: Study, key: str, shorter: str, longer: str, counted: accuracy_rows.Counted = None
) -> statistics.Estimate:
    """The test accuracy (0..1) of `longer` after its last epoch minus that of `shorter`, on the same facts that count."""

    def final(seed: int, run: str) -> pd.Series:
        last = int(reading.accuracy(loaded, seed, key, run).index.max())
        return reading.grades(loaded, study, seed, key, run, last)

    pairs = [(final(seed, shorter), final(seed, longer)) for seed in study.seeds]
    if not all(before.index.equals(after.index) for before, after in pairs):
        problem = f"the test facts of {longer} are not those of {shorter}"
        raise InputError("evaluation grades", problem, "the same facts", key="fact_id")
    if counted is not None:
        pairs = [(reading.among(b, c), reading.among(a, c)) for (b, a), c in zip(pairs, counted, strict=True)]
    return statistics.difference_over_seeds(pairs)


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and length; `final_change` is the final accuracy over that of the shortest training, in points."""
    rows = []
    for key, model in study.models.items():
        cells = paper.values(NUMBER, model.paper)
        shortest = min(study.longer, key=study.longer.__getitem__)
        found = accuracy_rows.rows(loaded, study, key, [Line(name, run) for run, name in study.lengths.items()])
        for run, row in zip(study.longer, found, strict=True):
            change = statistics.UNDEFINED
            if run != shortest:
                change = final_difference(loaded, study, key, shortest, run)
            epochs = str(study.longer[run])
            rows.append(
                row
                | {
                    "paper_percent": cells.get((epochs, MAX)),
                    "paper_final_percent": cells.get((epochs, FINAL)),
                    **change.columns("final_change_points", 100),
                }
            )
    return pd.DataFrame(rows)


SPEC = TableSpec(
    name="table_06",
    number=NUMBER,
    reported=paper.models(NUMBER),
    uses=("longer", "choose_on"),
    caption="The peak accuracy and final accuracy at the end of training across different epochs during fine-tuning on "
    "data classified as ‘Maybe Known’.",
    needs=needs,
    build=build,
    columns=(
        Column("Training epochs", lambda row: str(row["name"])),
        Column("Paper: max", lambda row: number(row["paper_percent"])),
        Column("Paper: final", lambda row: number(row["paper_final_percent"])),
        Column("Ours: max", lambda row: number(row["max_over_epochs_percent"])),
        Column("Ours: final", lambda row: number(row["final_percent"])),
        Column(
            "Final over the shortest's [95% interval]", lambda row: with_interval(row, "final_change_points", "+.2f")
        ),
        Column("At the chosen epoch [95% interval]", lambda row: with_interval(row, "percent")),
    ),
    facts="test facts",
    note="Accuracies are on the test set, in percent. The maximum (max) is over the epochs. It is taken on the test set "
    "itself, as in the paper. The change of the final accuracy over that of the shortest training is in points.",
)
