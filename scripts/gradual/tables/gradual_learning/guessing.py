"""Knowledge or guessing: test accuracy on facts whose gold answer is frequent in its relation and on the others, and how
often a state gives the answer that is the most frequent one. The paper does not ask this."""

from collections.abc import Callable, Mapping

import pandas as pd

from gradual.knowledge.frequent_answers import frequent_golds, majority_right, majority_said
from gradual.study.result_files import EVALUATION, FACTS, Result
from gradual.tables import accuracy_rows, reading
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.markdown import count, number, with_interval
from gradual.tables.spec import Column, Model, Part, Results, TableSpec

GROUPS = ("majority", "frequent", "rare")  # of test facts, by their gold answers


def needs(study: Study, model: Model) -> list[Result]:
    """The facts, and the evaluations of the three stages and of all their controls, with the answers."""
    if not model.has(*study.stages.values()):
        return []
    states = [*study.stages.values(), *study.controls(model)]
    evaluated = [n for state in states for n in (*reading.evaluated(state), Result(EVALUATION, state))]
    return [Result(FACTS), *evaluated]


def _states(study: Study, model: Model) -> Mapping[str, tuple[str, str | None]]:
    """The states of a model: each with its name in the table, and the state that it starts from (None for the origin)."""
    stages = list(study.stages.items())
    starts = [None, *(state for _, state in stages)]
    return {state: (stage, start) for (stage, state), start in zip(stages, starts, strict=False)} | study.controls(
        model
    )


def _groups(facts: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Which test facts have a gold of each of GROUPS (bool), by fact. `majority` and `rare` may overlap."""
    majority = majority_right(facts, study.scoring, study.answers)
    frequent = frequent_golds(facts, study.scoring, study.answers, study.frequent_share).loc[majority.index]
    return pd.DataFrame({"majority": majority, "frequent": frequent, "rare": ~frequent})


def _said(loaded: Results, study: Study, key: str, state: str, tables: list[pd.DataFrame]) -> list[pd.Series]:
    """Whether a state's answer to a test fact is the majority answer of the fact's relation (bool), by seed."""
    found = [reading.chosen_answers(loaded, study, seed, key, state) for seed in study.seeds]
    pairs = zip(found, tables, strict=True)
    return [majority_said(texts, facts, study.scoring, study.answers) for texts, facts in pairs]


def build(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model and state; accuracies and shares in percent, changes since the state's start in points."""
    rows = []
    tables = [reading.get(loaded, seed, "", Result(FACTS)) for seed in study.seeds]
    groups = [_groups(facts, study) for facts in tables]
    for key, model in study.models.items():
        for state, (name, start) in _states(study, model).items():
            row = accuracy_rows.common(study, key) | {"name": name}
            for group in GROUPS:
                counted = [table[group] for table in groups]
                share, gain, n = accuracy_rows.on_facts(loaded, study, key, state, start, counted)
                row[f"{group}_n"] = n
                row |= share.columns(f"{group}_percent", 100) | gain.columns(f"{group}_gain_points", 100)
            said = _said(loaded, study, key, state, tables)
            row |= accuracy_rows.share(said).columns("majority_said_percent", 100)
            row["majority_right_percent"] = 100 * accuracy_rows.share([table["majority"] for table in groups]).value
            row["n"] = sum(map(len, said)) / len(said)
            rows.append(row | {"chosen_on": study.choose_on})
    return pd.DataFrame(rows)


def build_by_relation(loaded: Results, study: Study) -> pd.DataFrame:
    """A row per model, relation and state; accuracies and shares in percent. Shares leave out seeds without such a fact."""
    rows = []
    tables = [reading.get(loaded, seed, "", Result(FACTS)) for seed in study.seeds]
    groups = [_groups(facts, study) for facts in tables]
    relations = [facts.set_index("fact_id")["relation"] for facts in tables]
    tested = sorted({relation for r, table in zip(relations, groups, strict=True) for relation in r[table.index]})
    for key, model in study.models.items():
        by_state = {}
        for state in _states(study, model):
            right = [reading.chosen_grades(loaded, study, seed, key, state) for seed in study.seeds]
            said = _said(loaded, study, key, state, tables)
            by_state[state] = [
                table.loc[r.index].assign(right=r, said=s, relation=relation.loc[r.index])
                for table, r, s, relation in zip(groups, right, said, relations, strict=True)
            ]
        for relation in tested:
            for state, (name, _) in _states(study, model).items():
                here = [table[table["relation"] == relation] for table in by_state[state]]
                rare = [table[table["rare"]] for table in here]
                row = accuracy_rows.common(study, key) | {"relation": relation, "name": name}
                row["n"] = sum(map(len, here)) / len(here)
                row |= accuracy_rows.share([table["right"] for table in here]).columns("percent", 100)
                row["rare_n"] = sum(map(len, rare)) / len(rare)
                row |= accuracy_rows.share([table["right"] for table in rare]).columns("rare_percent", 100)
                row |= accuracy_rows.share([table["said"] for table in here]).columns("majority_said_percent", 100)
                right_ = accuracy_rows.share([table["majority"] for table in here]).value
                rows.append(row | {"majority_right_percent": 100 * right_, "chosen_on": study.choose_on})
    return pd.DataFrame(rows)


def _by_group(name: str, form: str) -> list[Column]:
    """A column with interval for each group of test facts, from the columns <group>_<name>."""

    def cell(group: str) -> Callable[[pd.Series], str]:
        return lambda row: with_interval(row, f"{group}_{name}", form)

    return [Column(f"{group.capitalize()} gold", cell(group)) for group in GROUPS]


def _size(group: str) -> Column:
    return Column(f"Facts with a {group} gold", lambda row: count(row[f"{group}_n"]))


_STATE = Column("State", lambda row: row["name"], right=False)
_SAID = Column("Answers that are the majority answer", lambda row: with_interval(row, "majority_said_percent"))
_RIGHT = Column("Facts for which it is right", lambda row: number(row["majority_right_percent"]))
_USES = ("one_stage", "two_stage", "one_stage_controls", "two_stage_controls", "choose_on", "answers", "frequent_share")
_WORDS = (
    "The majority answer of a relation is the most frequent answer of its train facts. An answer is frequent if at "
    "least 5% of these facts (or `tables.frequent_share`) have it, and at least two of them. A gold is *frequent* "
    "if one of its relation's frequent answers is right by the scoring rule, and else *rare*. So nobody who says "
    "only frequent answers has a fact with a rare gold right. A majority answer that too few facts have is not "
    "frequent. "
)
_DASH = "A dash means that there is no such fact."

SPEC = TableSpec(
    name="guessing",
    caption="Knowledge or guessing? Test accuracy on facts whose gold is the majority answer of their relation, is "
    "frequent in their relation, and is rare in it.",
    uses=_USES,
    needs=needs,
    build=build,
    columns=(
        Part("test accuracy [95% interval]", (_STATE, *_by_group("percent", ".2f"))),
        Part("change [95% interval]", (_STATE, *_by_group("gain_points", "+.2f"))),
        Part("answers and facts", (_STATE, _SAID, _RIGHT, *map(_size, GROUPS))),
    ),
    facts="test facts",
    note=f"{_WORDS}Accuracies are at the chosen epoch, in percent. Changes are over the state that a state starts from, "
    "in points. The last table has the share of a state's answers that are the majority answer, the share of the test "
    f"facts for which this answer is right, both in percent, and the numbers of test facts. {_DASH}",
)
BY_RELATION_SPEC = TableSpec(
    name="guessing_by_relation",
    caption="Knowledge or guessing, by relation: test accuracy on all facts and on those whose gold is rare.",
    uses=_USES,
    needs=needs,
    build=build_by_relation,
    columns=(
        Column("Relation", lambda row: str(row["relation"]), right=False),
        _STATE,
        Column("n", lambda row: count(row["n"])),
        Column("Accuracy [95% interval]", lambda row: with_interval(row, "percent")),
        Column("Rare gold: n", lambda row: count(row["rare_n"])),
        Column("Accuracy there [95% interval]", lambda row: with_interval(row, "rare_percent")),
    ),
    note=f"{_WORDS}Accuracies are at the chosen epoch, in percent. {_DASH}",
)
