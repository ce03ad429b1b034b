"""GL Tables 7 and 11: test accuracy by stage and by round, and the accuracy of answers without a model."""

import pandas as pd

from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.knowledge.frequent_answers import majority_right
from gradual.study.result_files import FACTS, Result
from gradual.tables import accuracy_rows, reading
from gradual.tables.accuracy_rows import Line
from gradual.tables.gradual_learning import paper
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.spec import Column, Model, Results, TableSpec

STAGES, ROUNDS = 7, 11
MAX_ACCURACY, ACCURACY = "Max Accuracy", "Accuracy"  # the paper's names of its cells
MAJORITY = "Majority answer"


def needs_stages(study: Study, model: Model) -> list[Result]:
    """The facts and the evaluations of the three stages and of their controls."""
    if not model.has(*study.stages.values()):
        return []
    states = [*study.stages.values(), *study.controls(model, 1)]
    return [Result(FACTS), *(n for state in states for n in reading.evaluated(state))]


def needs_rounds(study: Study, model: Model) -> list[Result]:
    """The evaluations of one-stage, two-stage and each further round."""
    states = (study.one_stage, study.two_stage, *study.rounds)
    return [n for s in states for n in reading.evaluated(s)] if study.rounds and model.has(*states) else []


def build_stages(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and stage, one for the majority answers, and one for the first control of each stage.

    `percent` is the accuracy at the chosen epoch; `max_over_epochs_percent` chooses on test itself, as GL does. `gain`
    is over the stage before, on the same facts. Epochs are listed by seed.
    """
    rows = []
    for key, model in study.models.items():
        cells = paper.values(STAGES, model.paper)
        states = list(study.stages.items())
        printed = [cells.get((stage, MAX_ACCURACY)) for stage, _ in states]
        lines = [
            Line(stage, state, before, here, None if above is None or here is None else round(here - above, 2))
            for (stage, state), before, here, above in zip(
                states, [None, *(s for _, s in states)], printed, [None, *printed], strict=False
            )
        ]
        lines += [Line(name, run, before) for run, (name, before) in study.controls(model, 1).items()]
        rows += [_majority(loaded, study, key), *accuracy_rows.rows(loaded, study, key, lines)]
    return pd.DataFrame(rows)


def _majority(loaded: Results, study: Study, key: str) -> dict[str, object]:
    tables = [reading.get(loaded, seed, "", Result(FACTS)) for seed in study.seeds]
    graded = [majority_right(facts, study.scoring, study.answers) for facts in tables]
    if not all(len(right) for right in graded):
        raise InputError("facts", "there are no test facts", "some", key="split")
    share = statistics.share_over_seeds([int(g.sum()) for g in graded], [len(g) for g in graded])
    return {
        **accuracy_rows.common(study, key),
        "name": MAJORITY,
        "epoch": "",
        **share.columns("percent", 100),
        "n": sum(map(len, graded)) / len(graded),
        "chosen_on": study.choose_on,
    }


def build_rounds(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and round; the gain is over the round before."""
    rows = []
    for key, model in study.models.items():
        cells = paper.values(ROUNDS, model.paper)
        names = {"One-Stage": study.one_stage, "Two-Stage": study.two_stage}
        names |= {f"Multi-Rounds ({i})": run for i, run in enumerate(study.rounds, 3)}
        states = list(names.items())
        # GL gives one number for its multiple rounds; the table compares it with our third round.
        printed = [cells.get((name.partition(" (3)")[0], ACCURACY)) for name, _ in states]
        lines = [
            Line(name, state, before, here, None if above is None or here is None else round(here - above, 2))
            for (name, state), before, here, above in zip(
                states, [None, *(s for _, s in states)], printed, [None, *printed], strict=False
            )
        ]
        rows += accuracy_rows.rows(loaded, study, key, lines)
    return pd.DataFrame(rows)


STAGES_SPEC = TableSpec(
    name="table_07",
    number=STAGES,
    reported=paper.models(STAGES),
    uses=("one_stage", "two_stage", "one_stage_controls", "two_stage_controls", "choose_on", "answers"),
    caption="Accuracy results obtained using two-stage fine-tuning, one-stage fine-tuning, and without fine-tuning.",
    needs=needs_stages,
    build=build_stages,
    columns=(Column("Stage", lambda row: row["name"], right=False), *accuracy_rows.BESIDE_THE_PAPER),
    facts="test facts",
    note="The gain of a stage is over the stage before it. The gain of a control is over the state that its stage starts "
    "from. The majority answer is the most frequent train answer of each relation. "
    f"{accuracy_rows.NOTE_BESIDE_THE_PAPER}",
)
ROUNDS_SPEC = TableSpec(
    name="table_11",
    number=ROUNDS,
    reported=paper.models(ROUNDS),
    uses=("one_stage", "two_stage", "rounds", "choose_on"),
    caption="Accuracy results for one-stage, two-stage, and multi-round fine-tuning.",
    needs=needs_rounds,
    build=build_rounds,
    columns=(Column("Round", lambda row: row["name"], right=False), *accuracy_rows.BESIDE_THE_PAPER),
    facts="test facts",
    note=f"Gains are over the round above. {accuracy_rows.NOTE_BESIDE_THE_PAPER}",
)
