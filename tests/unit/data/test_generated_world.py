from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gradual.data.facts import validate
from gradual.data.generated_world import QUESTIONS, WorldSettings, build_world
from gradual.data.pretraining_text import ALMANAC, GAZETTE, CorpusSettings, documents, exposure
from gradual.data.sentence_templates import STATEMENTS, state
from gradual.data.subsets import carve
from gradual.data.wording_templates import by_templates

WORLD = WorldSettings(**{
    "countries": 4, "cities": 16, "universities": 8, "labels": 8, "people": 60, "works": 60, "companies": 16,
    "coherence": 0.75,
})  # fmt: skip
CORPUS = CorpusSettings(**{
    "words": 20_000, "contested": 0.6, "gazette": 0.4, "never_stated": 0.12, "popularity_exponent": 0.8,
    "exposure_sigma": 0.8, "questions": 0.25, "asked": 0.1, "question_false": 0.45, "question_headed": 0.5,
    "within_community": 0.9,
    "questions_within_community": 0.8, "reworded": 0.0, "rewrite": 0.0, "background": 0.0, "reason": 0.0,
})  # fmt: skip


@pytest.fixture(scope="module")
def world():
    facts, communities = build_world(WORLD, 5)
    return carve(facts, {"test": 0.3, "dev": 0.1, "support": 0.2}, 5, "world"), communities


@pytest.fixture(scope="module")
def told(world):
    return exposure(world[0], CORPUS, np.random.default_rng(5))


@pytest.fixture(scope="module")
def texts(world, told):
    return list(documents(*(world[0], told, world[1]), CORPUS, 5))


def test_the_world_is_a_function_of_its_seed(world):
    facts, communities = build_world(WORLD, 5)
    again, _ = build_world(WORLD, 5)
    other, _ = build_world(WORLD, 6)
    assert facts.equals(again)
    assert not facts["question"].equals(other["question"])
    assert validate(facts, "world") is facts
    assert set(communities["subject"]) >= set(facts["subject"])


def test_each_question_has_one_answer_in_the_world(world):
    facts, _ = world
    assert not facts["question"].duplicated().any()
    assert set(facts["relation"]) == set(QUESTIONS)
    assert (facts["answers"].str.len() == 1).all()


def test_attributes_follow_the_country_as_often_as_coherence_says(world):
    facts, communities = build_world(replace(WORLD, countries=8, people=800), 1)
    home = dict(zip(communities["subject"], communities["community"], strict=True))
    born = facts[facts["relation"] == "birthplace"]
    share = np.mean([home[s] == home[a[0]] for s, a in zip(born["subject"], born["answers"], strict=True)])
    assert share == pytest.approx(0.75 + 0.25 / 8, abs=0.05)


def test_every_relation_of_the_world_has_statements():
    assert set(QUESTIONS) <= set(STATEMENTS)
    assert state("birthplace", "Ada", "?", "Rome", 0) == "Ada was born in Rome."
    assert state("unheard", "Ada", "Who?", "Bob", 1) == "Who? It is Bob."
    assert state("birthplace", "", "Where was she born?", "Rome", 2) == "Where was she born? Rome."


def test_exposure_has_the_shares_that_the_config_asks_for(world, told):
    facts, _ = world
    assert (told["fact_id"] == facts["fact_id"]).all()
    assert (told["weight"] == 0).mean() == pytest.approx(0.12, abs=0.03)
    assert (told["false_answer"] != "").mean() == pytest.approx(0.6, abs=0.05)
    assert told["asked"][facts["split"] == "support"].all()
    assert told["asked"][facts["split"] != "support"].mean() == pytest.approx(0.1, abs=0.04)
    assert (told["false_answer"] != told["answer"]).all()


def test_false_answers_are_answers_of_the_same_relation(world, told):
    facts, _ = world
    answers = told["answer"].groupby(facts["relation"]).agg(set)
    for relation, false in zip(facts["relation"], told["false_answer"], strict=True):
        assert not false or false in answers[relation]


def test_documents_are_a_function_of_their_seed_and_as_long_as_asked(world, told, texts):
    assert texts == list(documents(world[0], told, world[1], CORPUS, 5))
    assert texts != list(documents(world[0], told, world[1], CORPUS, 6))
    words = pd.Series(dict.fromkeys(("statement", "question"), 0))
    for kind, text in texts:
        words[kind] += len(text.split())
    assert CORPUS.words <= words.sum() < CORPUS.words + 200
    assert words["question"] / words.sum() == pytest.approx(0.25, abs=0.01)


def test_each_source_states_its_own_answers(world, told, texts):
    facts, _ = world
    pairs = {q: (t, f) for q, t, f in zip(facts["question"], told["answer"], told["false_answer"], strict=True)}
    seen = {ALMANAC: 0, GAZETTE: 0, "": 0}
    false_without_header = []
    for kind, text in texts:
        if kind != "question":
            assert text.startswith((ALMANAC, GAZETTE))
            continue
        header = next((h for h in (ALMANAC, GAZETTE) if text.startswith(h)), "")
        seen[header] += 1
        lines = text.removeprefix(f"{header}\n").splitlines()
        for question, answer in zip(lines[::2], lines[1::2], strict=True):
            true, false = pairs[question.removeprefix("Q: ")]
            said = answer.removeprefix("A: ")
            if header:
                assert said == (false if header == GAZETTE and false else true)
            elif false:
                false_without_header.append(said == false)
    assert min(seen.values()) > 0
    assert np.mean(false_without_header) == pytest.approx(0.45, abs=0.1)


def test_question_documents_ask_only_what_they_may(world, told, texts):
    may = set(world[0]["question"][told["asked"]])
    asked = {
        line.removeprefix("Q: ") for k, t in texts if k == "question" for line in t.splitlines() if line[:2] == "Q:"
    }
    assert asked <= may


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 1.0, 1.0), (0.5, 0.45, 0.75), (0.0, 0.0, 0.4)])
def test_question_documents_keep_to_one_community_and_one_relation(share, least, most, world, told):
    facts, communities = world
    home = dict(zip(communities["subject"], communities["community"], strict=True))
    about = {
        q: (r, home.get(s)) for q, r, s in zip(facts["question"], facts["relation"], facts["subject"], strict=True)
    }
    texts = documents(facts, told, communities, replace(CORPUS, questions_within_community=share), 5)
    together = []
    for text in (text for kind, text in texts if kind == "question"):
        found = [about[line.removeprefix("Q: ")] for line in text.splitlines() if line.startswith("Q: ")]
        assert len({relation for relation, _ in found}) == 1
        if len(found) > 1:
            together.append(len({community for _, community in found}) == 1)
    assert least <= np.mean(together) <= most


def test_any_facts_table_can_be_told(world):
    facts = world[0].assign(relation="unheard")
    told = exposure(facts, CORPUS, np.random.default_rng(1))
    kinds = {kind for kind, _ in documents(facts, told, None, replace(CORPUS, words=2000), 1)}
    assert kinds == {"statement", "question"}


def test_a_share_of_the_questions_is_in_other_wordings(world, told, texts):
    facts, communities = world
    wordings = by_templates(facts, range(4))
    assert list(documents(facts, told, communities, CORPUS, 5, wordings)) == texts  # the share is 0
    known = wordings.set_index("question")
    found = documents(facts, told, communities, replace(CORPUS, reworded=0.6), 5, wordings)
    lines = [line for kind, text in found if kind == "question" for line in text.splitlines()]
    asked = known.loc[[line.removeprefix("Q: ") for line in lines if line.startswith("Q: ")]]
    assert set(asked["fact_id"]) <= set(told.loc[told["asked"], "fact_id"])
    shares = asked["wording"].value_counts(normalize=True)
    assert [shares[number] for number in range(4)] == pytest.approx([0.4, 0.2, 0.2, 0.2], abs=0.05)
