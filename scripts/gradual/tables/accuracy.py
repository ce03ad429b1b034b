"""Table 7: test accuracy of the untouched model, after one stage and after two."""

import math
from pathlib import Path

import pandas as pd

from gradual.errors import InputError
from gradual.statistics import difference_over_seeds, mcnemar, share_over_seeds
from gradual.tables.loading import check_same_facts
from gradual.tables.paper import CAPTIONS, numbers
from gradual.tables.spec import (
    ORIGIN,
    Inputs,
    Need,
    Study,
    TableSpec,
    estimate_columns,
    interval,
    number,
    text,
)

SPLIT = "test"


def inputs(study: Study) -> list[Need]:
    """Accuracies and grades of the three stages, and the epochs chosen for the two runs."""
    states = list(dict.fromkeys(study.stages.values()))
    kinds = ("accuracy", "evaluation_grades", "chosen")
    return [Need(kind, state) for state in states for kind in kinds if (kind, state) != ("chosen", ORIGIN)]


def build(study: Study, inputs: Inputs) -> pd.DataFrame:
    """A row per model and stage; accuracies and gains are shares (0..1), means over the seeds.

    `max_accuracy` is the best over the epochs on test itself (GL's way); `accuracy` is at the chosen epoch; `gain` is
    over the stage before, on the same facts; `mcnemar_p` is given for one seed only.
    """
    rows = []
    for model in study.models:
        printed = {stage: value / 100 for (stage, _), value in numbers(7, model.paper).items()}
        previous: tuple[str, list[pd.Series]] | None = None
        for stage, state in study.stages.items():
            epochs = [chosen_epoch(study, inputs, seed, model.name, state) for seed in study.seeds]
            grades = [
                right_at(study, inputs, seed, model.name, state, epoch)
                for seed, epoch in zip(study.seeds, epochs, strict=True)
            ]
            best = [max_accuracy(inputs[seed, model.name, Need("accuracy", state)]) for seed in study.seeds]
            sizes = [len(right) for right in grades]
            row = {
                "model": model.name,
                "label": model.label,
                "stage": stage,
                "state": state,
                "paper_max_accuracy": printed.get(stage, math.nan),
                "paper_gain": printed[stage] - printed[previous[0]] if printed and previous else math.nan,
                "max_accuracy": sum(best) / len(best),
                **estimate_columns("accuracy", share_over_seeds([int(right.sum()) for right in grades], sizes)),
                "epoch": " ".join(map(str, epochs)),
            }
            if previous:
                pairs = []
                for before, after in zip(previous[1], grades, strict=True):
                    check_same_facts(before.index, after.index, f"the grades of {state}")
                    pairs.append((before.to_numpy(), after.to_numpy()))
                row |= estimate_columns("gain", difference_over_seeds(pairs))
                row["mcnemar_p"] = mcnemar(*pairs[0]) if len(pairs) == 1 else math.nan
            else:
                row |= {"gain": math.nan, "gain_low": math.nan, "gain_high": math.nan, "mcnemar_p": math.nan}
            rows.append(row | {"seeds": len(study.seeds), "n": sum(sizes) / len(sizes)})
            previous = (stage, grades)
    return pd.DataFrame(rows)


def chosen_epoch(study: Study, inputs: Inputs, seed: int, model: str, state: str) -> int:
    """The epoch chosen for a run, 0 for the origin; InputError where it was chosen otherwise than the study says."""
    if state == ORIGIN:
        return 0
    need = Need("chosen", state)
    chosen = inputs[seed, model, need]
    if chosen["chosen_on"] != study.choose_on:
        raise InputError(
            need.path(seed, model), f"the epoch was chosen on {chosen['chosen_on']}", study.choose_on, key="chosen_on"
        )
    return int(chosen["epoch"])


def right_at(study: Study, inputs: Inputs, seed: int, model: str, state: str, epoch: int) -> pd.Series:
    """Whether each test fact is right at the epoch under the study's scoring rule, by fact_id, sorted.

    Raises InputError where there are no grades, or the accuracy file counts otherwise.
    """
    need = Need("evaluation_grades", state)
    file = Path(need.path(seed, model))
    grades = inputs[seed, model, need]
    if study.scoring not in grades:
        raise InputError(file, f"has no column {study.scoring}", "a column per scoring rule", key=study.scoring)
    rows = grades[(grades["epoch"] == epoch) & (grades["split"] == SPLIT)]
    if rows.empty:
        raise InputError(file, f"has no grades of epoch {epoch} on {SPLIT}", "a row per fact", key="epoch")
    if rows["fact_id"].duplicated().any():
        raise InputError(file, f"grades a fact of epoch {epoch} twice", "one row per epoch and fact", key="fact_id")
    right = rows.set_index("fact_id")[study.scoring].astype(bool).sort_index()
    accuracy = inputs[seed, model, Need("accuracy", state)]
    told = accuracy[(accuracy["epoch"] == epoch) & (accuracy["split"] == SPLIT)][["n", "right"]].to_numpy().tolist()
    if told != [[len(right), int(right.sum())]]:
        raise InputError(
            Need("accuracy", state).path(seed, model),
            f"epoch {epoch} on {SPLIT} has n and right {told}",
            f"those of the grades, {len(right)} and {int(right.sum())}",
            key="right",
        )
    return right


def max_accuracy(accuracy: pd.DataFrame) -> float:
    """The best test accuracy over all epochs."""
    rows = accuracy[accuracy["split"] == SPLIT]
    return float((rows["right"] / rows["n"]).max())


SPEC = TableSpec(
    number=7,
    caption=CAPTIONS[7],
    inputs=inputs,
    build=build,
    columns=(
        text("Model", "label"),
        text("Stage", "stage"),
        number("Paper, max over epochs on test, %", "paper_max_accuracy", digits=2, scale=100),
        number("Ours, max over epochs on test, %", "max_accuracy", digits=2, scale=100),
        text("Chosen epoch", "epoch"),
        interval("Ours at the chosen epoch, %", "accuracy", digits=2, scale=100),
        number("Paper, gain, points", "paper_gain", digits=2, scale=100, sign=True),
        interval("Ours, gain, points", "gain", digits=2, scale=100, sign=True),
        number("McNemar p", "mcnemar_p", digits=4),
    ),
    required=("accuracy", "accuracy_low", "accuracy_high", "max_accuracy", "n"),
    unit="test facts",
    remark="The paper chooses the epoch on the test set that it reports; so does the column beside it. Gains are over the "
    "row above, ours at the chosen epochs and on the same facts.",
)
