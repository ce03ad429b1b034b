"""Stages of one domain after another: a domain's own facts, conflicting ones, and facts of earlier stages."""

import pandas as pd

from gradual.knowledge import retention
from gradual.study.result_files import Result
from gradual.tables import accuracy_rows
from gradual.tables.multi_stage import columns, graded
from gradual.tables.multi_stage.graded import Chosen, Graded
from gradual.tables.multi_stage.roles import Line, Study
from gradual.tables.spec import Column, Model, Part, Results, TableSpec

GROUPS: dict[str, Chosen] = {
    "own": retention.own,
    "conflicting": retention.conflicting,
    "earlier": retention.retained,
}


def _lines(study: Study, model: Model) -> list[Line]:
    return study.lines(model) if any(study.stage_domains) else []


def needs(study: Study, model: Model) -> list[Result]:
    """The answers of all states, and of the states before; nothing without domains."""
    lines = _lines(study, model)
    return graded.needs(lines, *(line.previous for line in lines))


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, method, stage and kind of wording; shares in percent."""
    rows = []
    for key, model in study.models.items():
        read = Graded(loaded, study, key)
        for line in _lines(study, model):
            for wording, wordings in study.wordings.items():
                row = columns.named(study, key, line)
                row |= {"domain": study.stage_domains[line.stage - 1], "wording": wording}
                for group, chosen in GROUPS.items():
                    facts = read.facts(chosen, line.stage)
                    after = read.right(line.state, line.stage, facts, wordings)
                    before = read.right(line.previous, line.stage, facts, wordings)
                    metric = graded.kept if group == "earlier" else graded.gained
                    row[f"{group}_n"] = graded.mean_size(facts)
                    row |= accuracy_rows.share(after).columns(f"{group}_percent", 100)
                    row |= metric(before, after).columns(f"{group}_change_percent", 100)
                rows.append(row)
    return pd.DataFrame(rows)


def _part(heading: str, group: str, change: str) -> Part:
    """The columns of a group of facts."""
    stage = Column("Stage", lambda row: f"{row['stage']}, {row['domain']}", right=False)
    acc, changed = columns.share("ACC", f"{group}_percent"), columns.share(change, f"{group}_change_percent")
    return Part(heading, (columns.METHOD, stage, columns.WORDING, columns.number("n", f"{group}_n"), acc, changed))


SPEC = TableSpec(
    name="domains",
    caption="One domain after another: facts of the domain's own, facts of the domain before whose answers it "
    "changes, and facts of earlier stages.",
    uses=columns.LINES,
    needs=needs,
    build=build,
    columns=(
        _part("own facts", "own", "KGR"),
        _part("conflicting facts", "conflicting", "KGR"),
        _part("earlier facts", "earlier", "KRR"),
    ),
    note="Earlier facts are those that an earlier stage trains on and this stage does not, also those whose answers "
    f"changed in between. {columns.VALID} ACC is the share of right answers, KGR is this share among those that were "
    "wrong after the method's stage before, and KRR is this share among those that were right there. The paper "
    f"shows this setting in figures only. {columns.UNITS} {columns.WORDINGS} {columns.GREEDY} {columns.DASH}",
)
