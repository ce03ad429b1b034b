"""Revisions of answers: a test on each rule of the draws, and the groups of facts."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.data.facts import make_table
from gradual.data.revision_draws import BANDS, RevisionSettings, draw_revisions, group_facts, make_revisions
from gradual.data.revisions import (
    CONFLICTING,
    GROUP_COLUMNS,
    KEPT,
    OWN,
    REVISED,
    REVISION_COLUMNS,
    ROLES,
    UNRELATED,
    answers_at,
    read_groups,
    read_revisions,
)
from gradual.ground.errors import InputError
from gradual.ground.normal_form import folded, normal_form

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"
PLAIN = RevisionSettings(
    count=2, facts=20, kept=10, unrelated=5, relations=None, band="all", domains=(), own=None, conflicting=None,
    file=None, columns={},
)  # fmt: skip


def table(answers, relation="r", split="train"):
    """Facts with these answers; a list has several answers of one fact."""
    return make_table(
        {
            "split": split,
            "relation": relation,
            "subject": f"#{i}",
            "question": f"#{i}?",
            "answers": [answer] if isinstance(answer, str) else answer,
        }
        for i, answer in enumerate(answers)
    )


def draw(facts, count=1, band="all", seed=0, false=None, changed=None):
    train = facts[facts["split"] == "train"].set_index("fact_id")
    return draw_revisions(train, list(train.index) if changed is None else changed, count, band, seed, false or {})


def drawn_for(facts, answer, seeds=range(12), **options):
    """What is drawn for the fact with this answer, under many seeds."""
    [fact_id] = facts.loc[facts["answers"].str[0] == answer, "fact_id"]
    return {draw(facts, seed=seed, changed=[fact_id], **options)["answer"].iloc[-1] for seed in seeds}


def bands(facts, parts):
    """The band of each answer in normal form, by relation: written again from its definition."""
    counts = defaultdict(Counter)
    for relation, answers in zip(facts["relation"], facts["answers"], strict=True):
        counts[relation][normal_form(answers[0])] += 1
    found = {}
    for relation, counted in counts.items():
        ranked = sorted(counted, key=lambda answer: (-counted[answer], answer))
        found |= {(relation, answer): rank * parts // len(ranked) for rank, answer in enumerate(ranked)}
    return found


ANSWERS = st.lists(st.text("abcdeABCDE\u00e9", min_size=1, max_size=3), min_size=6, max_size=40)


@given(ANSWERS, ANSWERS, st.sampled_from(list(BANDS)), st.integers(0, 9), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_every_draw_obeys_every_rule(some, others, band, seed, count):
    facts = pd.concat([table(some), table(others, "s")], ignore_index=True)
    false = dict.fromkeys(facts["fact_id"][::2], "ce")
    band_of, rows = bands(facts, BANDS[band]), facts.set_index("fact_id")
    drawn = []
    for fact_id in facts["fact_id"][::11]:
        try:
            drawn += draw(facts, count, band, seed, false, [fact_id]).itertuples(index=False)
        except InputError as error:
            assert fact_id in str(error)
    earlier = {fact: [answers[0], "ce"][: 2 if fact in false else 1] for fact, answers in rows["answers"].items()}
    for fact_id, _, answer in drawn:
        relation, own = rows.loc[fact_id, "relation"], rows.loc[fact_id, "answers"][0]
        assert answer in set(rows.loc[rows["relation"] == relation, "answers"].str[0])
        assert band_of[relation, normal_form(answer)] == band_of[relation, normal_form(own)]
        for text in [*earlier[fact_id], rows.loc[fact_id, "question"]]:
            assert folded(answer) not in folded(text) and folded(text) not in folded(answer)
        earlier[fact_id].append(answer)


def test_a_draw_depends_on_the_seed_the_fact_and_the_revision_only():
    facts = table([f"<{i}>" for i in range(60)])
    drawn = draw(facts, 3)
    assert draw(facts[::-1], 3).equals(drawn)
    some = drawn["fact_id"].unique()[4:9]
    assert draw(facts, 3, changed=some).equals(drawn[drawn["fact_id"].isin(some)].reset_index(drop=True))
    assert draw(facts, 1).equals(drawn[drawn["revision"] == 1].reset_index(drop=True))
    assert (draw(facts, 3, seed=1)["answer"] == drawn["answer"]).mean() < 0.2
    assert drawn["answer"].value_counts().max() < 15  # of 180 draws among 60 answers


@pytest.mark.parametrize(("band", "size"), [("quartile", 2), ("half", 4), ("all", 8)])
def test_a_band_has_the_answers_that_are_as_frequent(band, size):
    ranked = [f"<{letter}>" for letter in "hgfedcba"]  # the most frequent first, against their sorted order
    facts = table([answer for n, answer in enumerate(reversed(ranked), 1) for _ in range(10 * n)])
    drawn = pd.concat([draw(facts, band=band, seed=seed) for seed in range(12)])
    found = drawn["answer"].groupby(drawn["fact_id"].map(facts.set_index("fact_id")["answers"].str[0])).agg(set)
    for rank, own in enumerate(ranked):
        assert found[own] == {*ranked[rank // size * size : (rank // size + 1) * size]} - {own}


def test_only_train_answers_of_the_relation_are_drawn():
    facts = pd.concat(
        [table(["<a>", "<b>"]), table(["<c>"], split="test"), table(["<d>", "<e>"], "s")], ignore_index=True
    )
    assert drawn_for(facts, "<a>") == {"<b>"}


def test_the_false_answer_of_the_corpus_is_not_drawn():
    facts = table(["<a>", "<b>", "<c>"])
    false = dict.fromkeys(facts["fact_id"], "<b>")
    assert drawn_for(facts, "<a>", false=false) == {"<c>"}
    assert drawn_for(facts, "<a>", false=dict.fromkeys(false, "")) == {"<b>", "<c>"}


@pytest.mark.parametrize("other", ["York", "New York City", "NEW YORK", "new\u00a0york"])
def test_what_contains_an_answer_or_is_contained_in_it_is_not_drawn(other):
    assert drawn_for(table(["New York", other, "Rome"]), "New York") == {"Rome"}


@pytest.mark.parametrize("within", ["#0", "#0?!", "#"])
def test_what_is_in_the_question_or_holds_it_is_not_drawn(within):
    assert drawn_for(table(["Oslo", within, "Rome"]), "Oslo") == {"Rome"}


def test_no_revision_is_like_an_earlier_one():
    facts = table(["Oslo", "Rome", "Old Rome", "Bern"])
    both = draw(facts, 2, changed=facts.loc[facts["answers"].str[0] == "Oslo", "fact_id"])
    assert "Bern" in set(both["answer"]) and both["answer"].nunique() == 2


def test_an_alias_of_the_fact_is_not_drawn_and_an_answer_has_one_spelling():
    facts = table([["Oslo", "Kristiania"], "Kristiania", "Zo\u00eb", "Zoe\u0308"])
    assert drawn_for(facts, "Oslo") == {"Zoe\u0308"}  # the first in sorted order


def test_without_an_answer_the_relation_the_fact_and_what_helps_are_named():
    facts = pd.concat([table(["<a>", "<b>", "<c>"]), table(["x", "xy"], "short")], ignore_index=True)
    with pytest.raises(InputError) as caught:
        draw(facts, 3, "half")
    text, key = str(caught.value), caught.value.key
    assert key == "dataset.revisions" and text.count("has no answer left") == 2  # once for each relation
    for word in ("relation 'r'", "relation 'short'", "revision 1", "fewer revisions", "larger band (all)", "relations"):
        assert word in text
    assert any(fact in text for fact in facts["fact_id"])
    with pytest.raises(InputError, match="has 3 of the relation's 3 distinct") as caught:
        draw(table(["<a>", "<b>", "<c>"]), 3)
    assert "larger" not in str(caught.value)


def settings_with(**changes):
    return RevisionSettings(**{**PLAIN.__dict__, **changes})


def three_relations():
    parts = [table([f"<{name}{i}>" for i in range(30)], name) for name in "abc"]
    return pd.concat([*parts, table([f"<t{i}>" for i in range(30)], split="test")], ignore_index=True)


def train_of(facts):
    return facts[facts["split"] == "train"].set_index("fact_id")


def test_the_groups_are_as_large_as_asked_disjoint_and_of_train_facts():
    facts = three_relations()
    groups = group_facts(train_of(facts), PLAIN, 0)
    assert tuple(groups.columns) == GROUP_COLUMNS and set(groups["domain"]) == {""}
    assert groups["role"].value_counts().to_dict() == {REVISED: 20, KEPT: 10, UNRELATED: 5}
    assert groups["fact_id"].is_unique and set(groups["fact_id"]) <= set(train_of(facts).index)
    assert group_facts(train_of(facts[::-1]), PLAIN, 0).equals(groups)
    assert not group_facts(train_of(facts), PLAIN, 1).equals(groups)
    larger = group_facts(train_of(facts), settings_with(kept=20), 0)
    assert set(groups.loc[groups["role"] == KEPT, "fact_id"]) < set(larger.loc[larger["role"] == KEPT, "fact_id"])
    some = group_facts(train_of(facts), settings_with(relations=("a", "b")), 0)
    assert set(facts.set_index("fact_id").loc[some["fact_id"], "relation"]) == {"a", "b"}


@pytest.mark.parametrize("change", [{"facts": 91}, {"kept": 71}, {"unrelated": 61}, {"relations": ("a",), "kept": 11}])
def test_groups_that_train_has_too_few_facts_for_are_refused(change):
    with pytest.raises(InputError, match="of (90|30) train facts") as caught:
        group_facts(train_of(three_relations()), settings_with(**change), 0)
    assert caught.value.key == "dataset.revisions"


def test_a_relation_without_train_facts_is_told():
    with pytest.raises(InputError, match="no train fact has the relation 'd'; expected .*a, b, c"):
        group_facts(train_of(three_relations()), settings_with(relations=("a", "d")), 0)


def test_revisions_start_with_the_facts_own_answers_and_every_revised_fact_has_all():
    facts = three_relations()
    revisions, groups = make_revisions(facts, PLAIN, 0, {})
    assert tuple(revisions.columns) == REVISION_COLUMNS
    own = revisions[revisions["revision"] == 0].set_index("fact_id")["answer"]
    assert set(own.index) == set(groups["fact_id"])
    assert (own == facts.set_index("fact_id").loc[own.index, "answers"].str[0]).all()
    revised = set(groups.loc[groups["role"] == REVISED, "fact_id"])
    for revision in (1, 2):
        assert set(revisions.loc[revisions["revision"] == revision, "fact_id"]) == revised
    for frame, name in ((revisions, "revisions"), (groups, "groups")):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
        for row in frame.head(5).to_dict("records"):
            jsonschema.validate(row, schema)
        if name == "groups":
            assert schema["properties"]["role"]["enum"] == list(ROLES)


DOMAINS = settings_with(
    count=None,
    facts=None,
    kept=0,
    domains=(("first", ["c"]), ("second", ["a"]), ("third", ["b"])),
    own=12,
    conflicting=4,
)


def test_a_domain_has_facts_of_its_own_and_changes_answers_of_the_one_before_it():
    facts = three_relations()
    revisions, groups = make_revisions(facts, DOMAINS, 0, {})
    relation = facts.set_index("fact_id")["relation"]
    own = {name: set(rows["fact_id"]) for name, rows in groups[groups["role"] == OWN].groupby("domain", sort=False)}
    conflicting = groups[groups["role"] == CONFLICTING].groupby("domain")["fact_id"].agg(set).to_dict()
    assert list(own) == ["first", "second", "third"]  # in the order of the config
    for name, relations in DOMAINS.domains:
        assert len(own[name]) == 12 and set(relation[list(own[name])]) == {*relations}
    assert set(conflicting) == {"second", "third"} and {len(found) for found in conflicting.values()} == {4}
    assert conflicting["second"] < own["first"] and conflicting["third"] < own["second"]
    unrelated = groups[groups["role"] == UNRELATED]
    assert len(unrelated) == 5 and set(unrelated["fact_id"]).isdisjoint(set().union(*own.values()))
    changed = set(revisions.loc[revisions["revision"] == 1, "fact_id"])
    assert changed == conflicting["second"] | conflicting["third"] and revisions["revision"].max() == 1


def test_a_domain_with_too_few_facts_is_told():
    with pytest.raises(InputError, match="'first' has 30 train facts; expected at least 31") as caught:
        make_revisions(three_relations(), settings_with(**{**DOMAINS.__dict__, "own": 31}), 0, {})
    assert caught.value.key == "dataset.revisions.own"


def test_the_facts_of_a_file_are_the_revised_ones():
    facts = three_relations()
    ids = sorted(train_of(facts).index)[:6]
    dated = pd.DataFrame({"fact_id": ids, "revision": 1, "answer": "new"})
    revisions, groups = make_revisions(facts, settings_with(facts=None, count=None, relations=("a",)), 0, {}, dated)
    assert set(groups.loc[groups["role"] == REVISED, "fact_id"]) == set(ids)
    assert set(groups.loc[groups["role"] != REVISED, "fact_id"]).isdisjoint(ids) and len(groups) == 21
    assert set(revisions.loc[revisions["answer"] == "new", "fact_id"]) == set(ids)


def test_the_answer_at_a_revision_is_the_last_one_that_came_until_then():
    rows = [("a", 0, "a0"), ("a", 2, "a2"), ("b", 0, "b0"), ("b", 1, "b1"), ("c", 0, "c0")]
    revisions = pd.DataFrame(rows, columns=REVISION_COLUMNS).sample(frac=1, random_state=0)
    found = {number: answers_at(revisions, number).to_dict() for number in (0, 1, 2, None)}
    assert found[0] == {"a": "a0", "b": "b0", "c": "c0"}
    assert found[1] == {"a": "a0", "b": "b1", "c": "c0"}
    assert found[2] == found[None] == {"a": "a2", "b": "b1", "c": "c0"}


ID = "0" * 16
WRONG = [
    (read_revisions, [(ID, 0, "x"), ("no", 0, "x")], 2, "fact_id"),
    (read_revisions, [(ID, 0, "x"), (ID, -1, "y")], 2, "revision"),
    (read_revisions, [(ID, 0.0, "x"), (ID, 1.0, "y")], 1, "revision"),
    (read_revisions, [(ID, 0, "x"), (ID, 1, " ")], 2, "answer"),
    (read_revisions, [(ID, 0, "x"), (ID, 1, "y"), (ID, 1, "z")], 3, "revision"),
    (read_revisions, [(ID, 1, "x")], 1, "fact_id"),
    (read_groups, [(ID, "", KEPT), ("", "", KEPT)], 2, "fact_id"),
    (read_groups, [(ID, None, KEPT)], 1, "domain"),
    (read_groups, [(ID, "", "kpet")], 1, "role"),
    (read_groups, [(ID, "", KEPT), (ID, "", REVISED)], 2, "fact_id"),
]


@pytest.mark.parametrize(("read", "rows", "row", "key"), WRONG)
def test_broken_revisions_and_groups_are_refused(tmp_path, read, rows, row, key):
    columns = REVISION_COLUMNS if read is read_revisions else GROUP_COLUMNS
    pd.DataFrame(rows, columns=columns).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "x.parquet")
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(tmp_path / "x.parquet"), row, key)


def test_what_is_written_is_read_again(tmp_path):
    for frame, read in zip(
        make_revisions(three_relations(), DOMAINS, 0, {}), (read_revisions, read_groups), strict=True
    ):
        frame.to_parquet(tmp_path / "x.parquet", index=False)
        assert read(tmp_path / "x.parquet").equals(frame)
