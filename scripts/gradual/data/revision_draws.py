"""The draw of revisions and groups: whose answers change, and to which answers.

What revisions and groups are is in `data.revisions`. The draws are apart from it, because an edit of them concerns only the
job that draws.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from gradual.data.revisions import (
    CONFLICTING,
    GROUP_COLUMNS,
    KEPT,
    NO_DOMAIN,
    OWN,
    REVISED,
    REVISION_COLUMNS,
    UNRELATED,
)
from gradual.data.train_answers import count_answers
from gradual.ground.errors import SHOWN, InputError, together
from gradual.ground.normal_form import folded, normal_form
from gradual.ground.seeding import seeded

BANDS = {"quartile": 4, "half": 2, "all": 1}  # the bands of frequency that a relation's distinct answers are cut into


@dataclass(frozen=True)
class RevisionSettings:
    """The config's section dataset.revisions, which schemas/config.schema.json describes.

    `domains` are pairs of a name and its relations, because their order counts.
    """

    count: int | None
    facts: int | None
    kept: int
    unrelated: int
    relations: tuple[str, ...] | None
    band: str
    domains: tuple[tuple[str, Sequence[str]], ...]
    own: int | None
    conflicting: int | None
    file: str | None
    columns: Mapping[str, str]


def make_revisions(
    facts: pd.DataFrame,
    settings: RevisionSettings,
    seed: int,
    false_answers: Mapping[str, str],
    dated: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The revisions (REVISION_COLUMNS) and the groups (GROUP_COLUMNS) of a study.

    `false_answers` are the corpus's false answers by fact_id, "" where a fact has none. `dated` are the revisions from 1 on
    of a user's file (readers/dated_answers.py). Without it, they are drawn. Every fact of a group has its revision 0.
    Raises InputError where there are too few facts or answers.
    """
    train = facts[facts["split"] == "train"].set_index("fact_id")
    if dated is not None:
        changed = sorted(set(dated["fact_id"]))
        groups, later = group_facts(train, settings, seed, changed), dated
    else:
        groups = group_facts(train, settings, seed)
        changed = groups.loc[groups["role"].isin([REVISED, CONFLICTING]), "fact_id"].tolist()
        later = draw_revisions(train, changed, settings.count or 1, settings.band, seed, false_answers)
    ids = sorted(set(groups["fact_id"]))
    first = pd.DataFrame({"fact_id": ids, "revision": 0, "answer": train.loc[ids, "answers"].str[0].to_numpy()})
    revisions = pd.concat([first, later], ignore_index=True)
    return revisions.sort_values(["fact_id", "revision"], ignore_index=True), groups


def group_facts(
    train: pd.DataFrame, settings: RevisionSettings, seed: int, changed: Sequence[str] | None = None
) -> pd.DataFrame:
    """The role of each fact of a group, and its domain. `train` has the train facts, by fact_id.

    `changed` are the facts of a user's file. Else the revised facts are drawn. A draw depends on the seed and the facts'
    ids. Domains come in the order of the config. In each of them, own facts come before conflicting ones. A fact has one
    row, but one that a later domain conflicts with has a row in both domains.
    """
    relations = [name for _, listed in settings.domains for name in listed] or settings.relations
    if relations:
        known = set(train["relation"])
        if unknown := [name for name in relations if name not in known]:
            expected = f"relations of train facts, such as {', '.join(sorted(known)[:SHOWN])}"
            raise InputError("facts", f"no train fact has the relation {unknown[0]!r}", expected, key="relation")
        train = train[train["relation"].isin(relations)]
    order = sorted(train.index, key=lambda fact_id: seeded(seed, "group", fact_id))
    if settings.domains:
        rows = _domains(train, order, settings)
    else:
        revised = order[: settings.facts] if changed is None else list(changed)
        rows = [(fact_id, NO_DOMAIN, REVISED) for fact_id in sorted(revised)]
    taken = {fact_id for fact_id, _, _ in rows}
    left, wanted = [fact_id for fact_id in order if fact_id not in taken], settings.kept + settings.unrelated
    if len(taken) < (settings.facts or 0) or len(left) < wanted:
        problem = (
            f"{max(len(taken), settings.facts or 0)} facts that are trained on, {settings.kept} kept and"
            f" {settings.unrelated} unrelated ones, of {len(order)} train facts"
        )
        expected = "as many train facts of these relations, or smaller numbers"
        raise InputError("facts", problem, expected, key="dataset.revisions")
    for role, some in ((KEPT, left[: settings.kept]), (UNRELATED, left[settings.kept : wanted])):
        rows += [(fact_id, NO_DOMAIN, role) for fact_id in sorted(some)]
    return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))


def _domains(train: pd.DataFrame, order: Sequence[str], settings: RevisionSettings) -> list[tuple[str, str, str]]:
    """The facts of all domains; `order` has the facts in the order in which they are drawn."""
    rows: list[tuple[str, str, str]] = []
    before: list[str] = []
    wanted = settings.own or 0
    for name, relations in settings.domains:
        there = set(train.index[train["relation"].isin(list(relations))])
        own = [fact_id for fact_id in order if fact_id in there][:wanted]
        if len(own) < wanted:
            problem = f"the domain {name!r} has {len(own)} train facts"
            raise InputError("facts", problem, f"at least {wanted}, or a smaller number", key="dataset.revisions.own")
        rows += [(fact_id, name, OWN) for fact_id in sorted(own)]
        rows += [(fact_id, name, CONFLICTING) for fact_id in sorted(before[: settings.conflicting or 0])]
        before = own
    return rows


def draw_revisions(
    train: pd.DataFrame, changed: Iterable[str], count: int, band: str, seed: int, false_answers: Mapping[str, str]
) -> pd.DataFrame:
    """The revisions 1 to `count` of the facts `changed`; `train` has the train facts, by fact_id.

    The answer of a revision is another train answer of the fact's relation, from the same band of frequency. It is no
    earlier answer of the fact and not the corpus's false answer. It neither contains nor is contained in one of these or in
    the question, also not in another case, because scoring could not tell them apart. Among the answers that are left, the
    seed, the fact and the revision decide. So more revisions do not change the earlier ones. Raises InputError for the
    relations that have no answer left, each with a fact.
    """
    bands = _bands(train, BANDS[band])
    rows: list[tuple[str, int, str]] = []
    faults: dict[str, InputError] = {}
    of_facts = train.loc[sorted(changed), ["relation", "question", "answers"]]
    for fact_id, relation, question, answers in of_facts.itertuples():
        band_of, answers_of = bands[relation]
        there = answers_of[band_of[normal_form(answers[0])]]
        false = false_answers.get(fact_id, "")
        left = there
        for text in [question, *answers, *([false] if false else [])]:
            left = _unlike(left, folded(text))
        for revision in range(1, count + 1):
            if not left:
                problem = (
                    f"fact {fact_id} ({question!r}) of relation {relation!r} has no answer left for revision {revision};"
                    f" its band has {len(there)} of the relation's {len(band_of)} distinct train answers"
                )
                larger = [name for name, parts in BANDS.items() if parts < BANDS[band]]
                expected = "fewer revisions (count), other relations" + (
                    f" or a larger band ({' or '.join(larger)})" if larger else ""
                )
                faults.setdefault(relation, InputError("facts", problem, expected, key="dataset.revisions"))
                break
            answer, form = left[seeded(seed, "revision", fact_id, revision) % len(left)]
            rows.append((fact_id, revision, answer))
            left = _unlike(left, form)
    if faults:
        raise together(list(faults.values()))
    return pd.DataFrame(rows, columns=list(REVISION_COLUMNS))


Answer = tuple[str, str]  # as it is written, and folded


def _unlike(answers: Iterable[Answer], text: str) -> list[Answer]:
    """The answers that neither contain a text nor are contained in it."""
    return [(answer, form) for answer, form in answers if form not in text and text not in form]


def _bands(train: pd.DataFrame, parts: int) -> dict[str, tuple[dict[str, int], dict[int, list[Answer]]]]:
    """For each relation, the band of each distinct train answer (in normal form), and the answers of each band.

    The answers are cut by their rank, so that each band has the same number of them, up to one. Of several spellings of an
    answer, the first in sorted order is taken.
    """
    first = train["answers"].str[0]
    given = pd.DataFrame({"relation": train["relation"], "answer": first.map(normal_form), "text": first})
    counted = count_answers(given)
    ranks = counted.groupby("relation").cumcount()
    counted["band"] = ranks * parts // counted.groupby("relation")["answer"].transform("size")
    spelled = given.groupby(["relation", "answer"])["text"].min()
    found: dict[str, tuple[dict[str, int], dict[int, list[Answer]]]] = {}
    for relation, answer, band in counted[["relation", "answer", "band"]].itertuples(index=False):
        band_of, answers_of = found.setdefault(relation, ({}, {}))
        band_of[answer] = band
        answers_of.setdefault(band, []).append((spelled[relation, answer], folded(answer)))
    return {
        relation: (of, {b: sorted(there) for b, there in answers.items()}) for relation, (of, answers) in found.items()
    }
