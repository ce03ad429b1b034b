"""The claims of Guan et al. 2025, each with our effect, its interval, a control and a verdict."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from gradual.ground import statistics
from gradual.ground.statistics import UNDEFINED, Estimate
from gradual.knowledge import retention
from gradual.study.result_files import AUGMENTED_COUNTS, Result
from gradual.tables import accuracy_rows, reading
from gradual.tables.multi_stage import columns, graded, paper
from gradual.tables.multi_stage.graded import Graded
from gradual.tables.multi_stage.retained import kept_facts
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Model, Results, TableSpec
from gradual.tables.verdicts import COLUMNS, RISES, Claim
from gradual.training.augment_settings import MODEL, TEMPLATES

# The smallest effect of interest: 1 point, which is less than the standard error of the paper's comparisons (1.25 points).
MARGIN = 0.01
BASELINES = ("plain", "mocl", "f_learning")
WAYS = {"background": "Background questions", "logic": "Logical questions", "paraphrase": "Paraphrases"}


class Comparison(NamedTuple):
    """A claim: after a stage, the method with a role has more right than the method with another role.

    `control` is a method that could explain the difference; empty without one. With `kept`, the claim is about kept facts,
    and else about those that the stage trains on.
    """

    text: str
    role: str
    over: str
    stage: int
    control: str = ""
    kept: bool = False

    def methods(self, study: Study) -> list[str]:
        """The methods that are compared: of the role, of the other role, and the control if there is one."""
        return [study.roles[self.role], study.roles[self.over], *([self.control] if self.control else [])]


def comparisons(study: Study, model: Model) -> list[Comparison]:
    """The claims for which the model has the runs, in the paper's order; without a control that it does not have."""

    def has(method: str, stage: int) -> bool:
        return method != "" and stage in study.stages_of(method, model)

    claims = [each for each in _claims(study) if {each.role, each.over} <= {*study.roles}]
    found = [each for each in claims if all(has(study.roles[r], each.stage) for r in (each.role, each.over))]
    return [each if has(each.control, each.stage) else each._replace(control="") for each in found]


def _claims(study: Study) -> Iterator[Comparison]:
    """Every claim of the paper that the study's number of stages allows."""
    last, ablated = len(study.stages), paper.ABLATED
    label = {role: study.method_labels[method] for role, method in study.roles.items()}
    steps = {role: study.same_steps(method) for role, method in study.roles.items()}
    theirs = label.get("theirs", "")
    for stage in range(2, last + 1):
        for base in BASELINES:
            text = f"{theirs} is better than {label.get(base)} after stage {stage}"
            yield Comparison(text, "theirs", base, stage, steps.get("theirs", ""))
    plain = label.get("plain")
    yield Comparison(f"The preference bias is better than {plain}", "preference", "plain", ablated)
    for role, name in WAYS.items():
        yield Comparison(f"{name} are better than {plain}", role, "plain", ablated, steps.get(role, ""))
    text = f"All three augmentations are better than {plain}"
    yield Comparison(text, "augmented", "plain", ablated, steps.get("augmented", ""))
    yield Comparison(f"Selected questions are better than {label.get('half')}", "selected", "half", ablated)
    for base in BASELINES:
        text = f"{theirs} keeps more of what earlier stages taught than {label.get(base)}, after stage {last}"
        yield Comparison(text, "theirs", base, last, study.roles.get("replay", ""), kept=True)


def needs(study: Study, model: Model) -> list[Result]:
    """The answers of the states that the claims compare."""
    found = comparisons(study, model)
    states = [(study.state(m, each.stage), each) for each in found for m in each.methods(study)]
    written = dict.fromkeys(need for each in found for need in _augmented(study, each))
    return [*graded.needs([Line("", "", each.stage, state, state) for state, each in states]), *written]


def _augmented(study: Study, each: Comparison) -> list[Result]:
    """Who wrote the augmented questions of the two methods that are compared."""
    methods = (study.roles[role] for role in (each.role, each.over))
    return [
        Result(AUGMENTED_COUNTS, study.state(method, each.stage)) for method in methods if method in study.augmented
    ]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and claim; effects and intervals are in points."""
    rows = []
    for key, model in study.models.items():
        read = Graded(loaded, study, key)
        for each in comparisons(study, model):
            written_by = _written_by(loaded, study, key, _augmented(study, each))
            if written_by.startswith(TEMPLATES):
                each = each._replace(text=f"{each.text} (questions by {written_by})")
            claim = _claim(read, each, model)
            row = accuracy_rows.common(study, key) | claim.described() | {"written_by": written_by}
            rows.append(row | {"stage": each.stage, "facts": claim.facts} | claim.found())
    return pd.DataFrame(rows)


def _written_by(loaded: Results, study: Study, key: str, needs: list[Result]) -> str:
    """Who wrote the augmented questions of a claim, by way if it is not one for all; empty if there are none."""
    found = []
    for seed in study.seeds:
        for need in needs:
            frame = reading.get(loaded, seed, key, need)
            reading.require(frame, ["way", "made_by"], reading.path(need, seed, key))
            found.append(frame.assign(templates=frame["made_by"] == TEMPLATES))
    if not found:
        return ""
    share = pd.concat(found).groupby("way", sort=False)["templates"].mean()
    if share.isin([0, 1]).all() and share.nunique() == 1:
        return TEMPLATES if share.iloc[0] else MODEL
    ways = [f"{way} ({part:.0%})" if part < 1 else str(way) for way, part in share.items() if part]
    return f"{TEMPLATES}: {', '.join(ways)}"


def _claim(read: Graded, each: Comparison, model: Model) -> Claim:
    facts = kept_facts(read, each.stage) if each.kept else read.facts(retention.trained, each.stage)
    study = read.study
    ours, base = study.roles[each.role], study.roles[each.over]
    right = {m: read.right(study.state(m, each.stage), each.stage, facts) for m in each.methods(study)}

    def gain(method: str, over: str) -> Estimate:
        pairs = [(b.to_numpy(), a.to_numpy()) for b, a in zip(right[over], right[method], strict=True)]
        return statistics.difference_over_seeds(pairs, facts=accuracy_rows.facts_of(right[over]))

    return Claim(
        each.text,
        RISES,
        gain(ours, base),
        graded.mean_size(facts),
        paper=None if each.kept else paper.gain(model.paper, each.role, each.over, each.stage),
        control=study.method_labels[each.control] if each.control else "",
        control_effect=gain(each.control, base) if each.control else UNDEFINED,
        net=gain(ours, each.control) if each.control else UNDEFINED,
        margin=MARGIN,
    )


SPEC = TableSpec(
    name="stage_claims",
    caption="The paper's claims about stages, and the verdicts of this study on them.",
    uses=(*columns.STAGES, "roles", "steps_of", "augmented"),
    needs=needs,
    build=build,
    reported=paper.models(),
    columns=COLUMNS,
    note="Effects are differences of ACC, in points, on the same questions: of facts that the stage trains on, or "
    f"of kept facts. {columns.KEPT} {columns.VALID} {columns.DECIDING} The smallest effect of interest was set before "
    f"any of these results. It is {100 * MARGIN:.0f} point. The verdict is *shows* if the whole 95% interval is above "
    "zero, however small the effect is. Otherwise, it is *does not show* if the whole interval is below the smallest "
    "effect of interest. In all other cases, the verdict is *undecided*. The control is another method that could explain "
    "the effect: plain training for as many steps as the method takes, or plain replay of kept facts. Behind the control "
    "is the verdict on the effect net of the control. A random half of the augmented questions is itself the control of "
    "their selection. A model writes these questions itself, if it passes the gate. Else templates write them, and the "
    "claim says so. All methods "
    "are compared at one budget each; the table budgets shows what other budgets do. "
    f"{columns.GREEDY} With one seed, a verdict holds only for this dataset and this model. The paper's numbers are from "
    "one training and have no intervals. Its ablations are taken to be of stage 2 (see the table stages), and its "
    "retention is in figures only.",
)
