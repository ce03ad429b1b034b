"""Answers drawn at random within a relation."""

import json
from pathlib import Path

import jsonschema

from gradual.training.drawn_answers import DRAWN, draw_answers
from gradual.training.examples import EXAMPLE_COLUMNS, build_examples
from tiny import facts

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "schemas" / "examples.schema.json").read_text(encoding="utf-8"))
FACTS = facts(per_split=200)
TRAIN = FACTS[FACTS["split"] == "train"]
OWN = build_examples(TRAIN[["fact_id"]].assign(role=["train"] * 300 + ["replay"] * 100), FACTS)


def test_only_the_answers_and_their_source_are_others():
    drawn = draw_answers(OWN, FACTS, 0, "mine")
    assert tuple(drawn.columns) == EXAMPLE_COLUMNS
    kept = ["fact_id", "role", "question"]
    assert drawn[kept].equals(OWN[kept]) and set(drawn["source"]) == {DRAWN}
    for row in drawn.head(3).to_dict("records"):
        jsonschema.validate(row, SCHEMA)


def test_an_answer_is_that_of_a_train_fact_of_the_relation():
    drawn = draw_answers(OWN, FACTS, 0, "mine")
    drawn["relation"] = drawn["fact_id"].map(TRAIN.set_index("fact_id")["relation"])
    for relation, rows in drawn.groupby("relation"):
        answers = set(TRAIN.loc[TRAIN["relation"] == relation, "answers"].str[0])
        assert set(rows["answer"]) <= answers
        # Each of 200 answers is drawn with the same probability: of 200 draws, 1 - 1/e = 63% find one that no other found.
        assert 0.53 < rows["answer"].nunique() / len(answers) < 0.73
    assert 0 <= (drawn["answer"] == OWN["answer"]).sum() < 12  # its own by chance, in two draws on average


def test_answers_have_the_distribution_of_the_train_facts_of_the_relation():
    half, others = (set(TRAIN["fact_id"].iloc[first:200:2]) for first in (0, 1))  # of the first relation's facts
    answers = [
        ["common"] if fact in half else own for fact, own in zip(FACTS["fact_id"], FACTS["answers"], strict=True)
    ]
    drawn = draw_answers(OWN[OWN["fact_id"].isin(others)], FACTS.assign(answers=answers), 0, "mine")
    assert len(drawn) == 100 and 0.35 < (drawn["answer"] == "common").mean() < 0.65


def test_a_draw_depends_on_the_seed_the_run_and_the_fact_only():
    drawn = draw_answers(OWN, FACTS, 0, "mine")
    turned = draw_answers(OWN[::-1], FACTS[::-1], 0, "mine")
    assert turned[::-1].equals(drawn)
    assert draw_answers(OWN[5:9], FACTS, 0, "mine").equals(drawn[5:9])
    for other in (draw_answers(OWN, FACTS, 1, "mine"), draw_answers(OWN, FACTS, 0, "yours")):
        assert (other["answer"] == drawn["answer"]).mean() < 0.1


def test_of_several_answers_the_first_is_drawn():
    several = FACTS.assign(answers=[["one", "two"]] * len(FACTS))
    assert set(draw_answers(OWN, several, 0, "mine")["answer"]) == {"one"}
