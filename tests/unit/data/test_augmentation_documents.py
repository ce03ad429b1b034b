"""Documents that teach a model to augment questions, and what they leave as it was."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradual.data.augmentation_documents import augmentation_documents
from gradual.data.augmentation_forms import BACKGROUND, KINDS, LOGIC, PARAPHRASE, TITLES, augmented, document, head
from gradual.data.dataset import build_dataset
from gradual.data.facts import make_table
from gradual.data.generated_world import WorldSettings, build_world
from gradual.data.neighbours import Neighbours
from gradual.data.pretraining_text import CorpusSettings, documents, exposure
from gradual.data.subsets import carve
from gradual.data.wording_templates import by_templates
from gradual.ground.errors import InputError
from gradual.ground.settings import pick
from gradual.models.shipped import texts_digest
from gradual.study.load_study import load_study

ROOT = Path(__file__).resolve().parents[3]
CONFIG = load_study("default", ROOT)
WORLD = WorldSettings(4, cities=16, universities=8, labels=8, people=60, works=60, companies=16, coherence=0.75)
CORPUS = replace(pick(CorpusSettings, CONFIG["corpus"]), words=20_000)
TAUGHT = replace(CORPUS, rewrite=0.05, background=0.06, reason=0.04)


def fact(relation, subject, question, answer, split="train"):
    return {"split": split, "relation": relation, "subject": subject, "question": question, "answers": [answer]}


@pytest.fixture(scope="module")
def world():
    facts, communities = build_world(WORLD, 5)
    return carve(facts, {"test": 0.3, "dev": 0.1, "support": 0.2}, 5, "world"), communities


@pytest.fixture(scope="module")
def told(world):
    return exposure(world[0], CORPUS, np.random.default_rng(5))


@pytest.fixture(scope="module")
def rewritten(world):
    return by_templates(world[0], [0, 1, 2])


@pytest.fixture(scope="module")
def taught(world, told, rewritten):
    return list(documents(world[0], told, world[1], TAUGHT, 5, None, rewritten))


def test_the_forms_are_these():
    assert document(PARAPHRASE, "Who?", "By whom?", "Bo") == "Rewrite\nQ: Who?\nQ: By whom?\n"
    assert document(BACKGROUND, "Who?", "Bo sings.", "Bo") == "Background\nQ: Who?\nBo sings.\n"
    assert document(LOGIC, "Who?", "Bo sings. It is a song.", "Bo") == (
        "Reason\nQ: Who?\nBo sings. It is a song.\nA: Bo\n"
    )
    for way in TITLES:
        assert document(way, "Who?", "Written.", "Bo").startswith(head(way, "Who?"))
    assert [augmented(way, "Who?", "So.") for way in (PARAPHRASE, BACKGROUND, LOGIC)] == ["So.", "So. Who?", "So. Who?"]


def test_a_corpus_without_them_stays_as_it_is(world, told, rewritten):
    facts, communities = world
    before = list(documents(facts, told, communities, CORPUS, 5))
    assert list(documents(facts, told, communities, CORPUS, 5, None, rewritten)) == before


def test_the_corpus_of_a_shipped_model_is_still_the_one_of_its_card():
    """So a study still takes the model. The digest is of the texts, and no other key of the recipe knows the corpus."""
    recipe = json.loads((ROOT / "pretrained" / "default-qwen2-seed0" / "card.json").read_text())["recipe"]
    config = load_study("default", ROOT)
    dataset = json.loads(
        json.dumps(config["dataset"], sort_keys=True)
    )  # as the rule gives it: splits are carved in order
    made = build_dataset(dataset, CONFIG["world"], None, {"train": CONFIG["probe"]["shots"]}, 0)
    settings = pick(CorpusSettings, CONFIG["corpus"])
    told = exposure(made.facts, settings, np.random.default_rng([0, 2]))
    texts = documents(made.facts, told, made.communities, settings, 0)
    assert texts_digest(text for _, text in texts) == recipe["corpus"]


def test_the_shares_are_shares_of_words(taught):
    words = pd.DataFrame(taught, columns=["kind", "text"]).assign(n=lambda d: d["text"].str.split().str.len())
    shares = words.groupby("kind")["n"].sum() / words["n"].sum()
    assert [shares[kind] for kind in ("rewrite", "background", "reason", "question")] == pytest.approx(
        [0.05, 0.06, 0.04, 0.25], abs=0.005
    )


def test_a_way_has_draws_of_its_own(world, told, rewritten, taught):
    alone = documents(world[0], told, world[1], replace(CORPUS, rewrite=0.05), 5, None, rewritten)
    found = [text for kind, text in alone if kind == "rewrite"]
    beside = [text for kind, text in taught if kind == "rewrite"]
    assert min(len(found), len(beside)) > 20 and found[: len(beside)] == beside[: len(found)]


def test_documents_ask_about_support_facts(world, rewritten, taught):
    support = set(world[0].loc[world[0]["split"] == "support", "fact_id"])
    asked = rewritten.set_index("question")["fact_id"]
    for kind, text in taught:
        if kind in KINDS:
            lines = text.splitlines()
            assert lines[0] == TITLES[KINDS[kind]]
            assert asked[lines[1].removeprefix("Q: ")] in support


def test_a_question_is_rewritten_in_two_wordings_and_never_in_that_of_tests_alone(rewritten, taught):
    known = rewritten.set_index("question")
    pairs = [text.splitlines()[1:] for kind, text in taught if kind == "rewrite"]
    rows = [known.loc[[one.removeprefix("Q: "), other.removeprefix("Q: ")]] for one, other in pairs]
    assert all(row["fact_id"].nunique() == 1 and row["wording"].nunique() == 2 for row in rows)
    assert {number for row in rows for number in row["wording"]} == {0, 1, 2}


def test_background_is_about_the_subject_and_does_not_state_what_is_asked(world, told, taught):
    facts = world[0].assign(answer=told["answer"]).set_index("question")
    for kind, text in taught:
        if kind == "background":
            _, question, written = text.splitlines()
            asked = facts.loc[question.removeprefix("Q: ")]
            near = facts[(facts["subject"] == asked["subject"]) & (facts["relation"] != asked["relation"])]
            sentences = [part for part in written.replace(". ", ".\n").splitlines() if part]
            assert 1 <= len(sentences) <= 3
            assert all(asked["subject"] in s and any(a in s for a in near["answer"]) for s in sentences)


SONG = [
    fact("performer", "The Song", "Who performed The Song?", "Ada"),
    fact("work_label", "The Song", "Which label released The Song?", "Bo Records", "support"),
    fact("artist_label", "Ada", "Which label is Ada signed to?", "Bo Records"),
    fact("artist_genre", "Ada", "What genre is Ada known for?", "jazz"),
    fact("unheard", "Ada", "What of Ada?", "nothing"),  # without templates of statements
    fact("work_genre", "The Song", "What genre is The Song?", "soul", "support"),
]


def test_a_chain_leads_from_the_subject_to_the_answer_where_one_does():
    facts = make_table(SONG)
    at = {question: place for place, question in enumerate(facts["question"])}
    near = Neighbours(facts, facts["answers"].str[0].tolist(), np.full(len(facts), True))
    performer, label, genre = (at[SONG[row]["question"]] for row in (0, 2, 3))
    released, soul = at[SONG[1]["question"]], at[SONG[5]["question"]]
    assert near.chains(released) == [(performer, label)]
    assert sorted(near.chains(soul)) == sorted([(performer, label), (performer, genre)])  # none ends with soul
    assert near.chains(performer) == []
    assert near.told((performer, label), (0, 0)) == "The Song was performed by Ada. Ada is signed to Bo Records."
    untold = Neighbours(facts, facts["answers"].str[0].tolist(), facts["relation"].to_numpy() != "performer")
    assert untold.chains(released) == [] and untold.others(released) == [soul]


def test_a_document_that_reasons_ends_with_the_answer():
    facts = make_table(SONG[:4])
    told = exposure(facts, replace(CORPUS, never_stated=0.0, contested=1.0), np.random.default_rng(0))
    lines = next(augmentation_documents(LOGIC, facts, told, 0, None)).splitlines()
    assert lines[1] == "Q: Which label released The Song?" and lines[3] == "A: Bo Records"
    assert "Ada" in lines[2] and lines[2].endswith("Bo Records.")


@pytest.mark.parametrize("way", TITLES)
def test_a_table_without_support_facts_for_a_way_is_told(way):
    facts = make_table([fact("founder", "Klex", "Who founded Klex?", "Ada", "support")])
    told = exposure(facts, replace(CORPUS, never_stated=0.0), np.random.default_rng(0))
    with pytest.raises(InputError, match=f"no support fact for a document of the way '{way}'"):
        augmentation_documents(way, facts, told, 0, by_templates(facts, [0]))
