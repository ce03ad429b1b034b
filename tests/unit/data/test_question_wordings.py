"""Wordings of questions: the templates, the columns of a user's table, and rows that ask in one wording."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.data.facts import make_table
from gradual.data.generated_world import QUESTIONS
from gradual.data.question_wordings import WORDING_COLUMNS, read_wordings, reworded
from gradual.data.readers import entity_questions
from gradual.data.readers.raw import members
from gradual.data.readers.table_wordings import read_table_wordings
from gradual.data.wording_templates import TEMPLATES, WORDINGS, by_templates, subject_in
from gradual.ground.errors import InputError
from gradual.ground.normal_form import question_key

ROOT = Path(__file__).resolve().parents[3]
REAL = ROOT / "data" / "entity_questions"
SCHEMA = json.loads((ROOT / "schemas" / "wordings.schema.json").read_text(encoding="utf-8"))
ALL = range(WORDINGS)


def facts_of(*asked):
    """Facts of a relation and a question."""
    rows = [{"split": "train", "relation": r, "subject": "", "question": q, "answers": ["x"]} for r, q in asked]
    return make_table(rows)


def test_wording_0_is_the_template_of_the_dataset():
    assert {relation: listed[0] for relation, listed in TEMPLATES.items()} == QUESTIONS | entity_questions.TEMPLATES


@pytest.mark.parametrize("relation", TEMPLATES)
def test_a_relation_has_four_different_questions_about_its_subject(relation):
    templates = TEMPLATES[relation]
    assert len({question_key(template) for template in templates}) == len(templates) == WORDINGS
    for template in templates:
        assert template.count("{") == template.count("}") == template.count("{}") == 1 and template.endswith("?")
        assert template == " ".join(template.split()) and template[0].isupper()


@given(st.sampled_from(sorted(TEMPLATES)), st.text("ab {}?'\u00e9s", min_size=1).filter(str.strip))
def test_the_subject_stays_as_it_is(relation, subject):
    question = TEMPLATES[relation][0].replace("{}", subject)
    assert subject_in(question, TEMPLATES[relation][0]) == subject
    found = by_templates(facts_of((relation, question)), ALL).set_index("wording")["question"]
    assert found[0] == question
    for number in ALL:
        assert found[number] == TEMPLATES[relation][number].replace("{}", subject)


@pytest.mark.skipif(not REAL.exists(), reason="data/entity_questions is not here (docs/datasets.md)")
def test_wording_0_gives_back_every_question_of_the_real_data():
    facts = entity_questions.read(REAL)
    own = by_templates(facts, [0])
    assert len(facts) > 200_000 and own["question"].tolist() == facts["question"].tolist()


@pytest.mark.parametrize(
    ("relation", "question", "says"),
    [
        ("birthplace", "Where did Ada come from?", "'Where was {} born\\?', filled with a subject"),
        ("birthplace", "Where was born?", "filled with a subject"),
        ("birthplace", "Where was  born?", "filled with a subject"),
        ("unheard", "Who?", "a relation with templates, or the wordings in columns"),
    ],
)
def test_a_question_that_cannot_be_reworded_is_told(relation, question, says):
    facts = facts_of(("birthplace", "Where was Ada born?"), (relation, question))
    with pytest.raises(InputError, match=says) as caught:
        by_templates(facts, ALL)
    assert caught.value.key == "question" and relation in str(caught.value) and question in str(caught.value)


def test_rows_ask_in_one_wording_and_stay_otherwise():
    facts = facts_of(("birthplace", "Where was Ada born?"), ("founder", "Who founded Klex?"))
    wordings = by_templates(facts, [0, 2])
    for row in wordings.to_dict("records"):
        jsonschema.validate(row, SCHEMA)
    assert reworded(facts, wordings, 0).equals(facts)
    turned = facts[::-1]
    asked = reworded(turned, wordings, 2)
    assert set(asked["question"]) == {"What is the birthplace of Ada?", "By whom was Klex founded?"}
    assert asked.drop(columns="question").equals(turned.drop(columns="question"))
    for lacking, number in ((wordings, 1), (wordings[:1], 0)):
        with pytest.raises(InputError, match=f"has no wording {number}; expected one of") as caught:
            reworded(facts, lacking, number)
        assert caught.value.key == "wording"


ID = "0" * 16
WRONG = [
    ([("x", 0, "q?")], 1, "fact_id"),
    ([(ID, 0, "q?"), (ID, -1, "w?")], 2, "wording"),
    ([(ID, 0, "q?"), (ID, 0, "w?")], 2, "wording"),
    ([(ID, 0, "q?"), (ID, 1, None)], 2, "question"),
]


@pytest.mark.parametrize(("rows", "row", "key"), WRONG)
def test_broken_wordings_are_refused(tmp_path, rows, row, key):
    pd.DataFrame(rows, columns=WORDING_COLUMNS).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError) as caught:
        read_wordings(tmp_path / "x.parquet")
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(tmp_path / "x.parquet"), row, key)


def test_wordings_are_read_as_they_are_written(tmp_path):
    wordings = by_templates(facts_of(("founder", "Who founded Klex?")), ALL)
    wordings.to_parquet(tmp_path / "x.parquet", index=False)
    assert read_wordings(tmp_path / "x.parquet").equals(wordings)


# --- columns of a user's table ---------------------------------------------------------------------------------------

ROW = {"question": "Where was Ada born?", "other": "Whence is Ada?", "third": "Ada is from where?"}
FACTS = facts_of(("where", ROW["question"]))


def read(tmp_path, *rows, columns=("other", "third"), name="t.jsonl"):
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_table_wordings(members(tmp_path / name), "question", columns, FACTS)


def test_the_columns_of_a_table_are_the_wordings_from_1_on(tmp_path):
    left_out = {"question": "Where was Bo born?"}  # a fact that the study does not have needs no wordings
    found = read(tmp_path, left_out, ROW, ROW)
    assert tuple(found.columns) == WORDING_COLUMNS and set(found["fact_id"]) == set(FACTS["fact_id"])
    assert found.set_index("wording")["question"].to_dict() == dict(enumerate(ROW.values()))


@pytest.mark.parametrize(
    ("rows", "row", "key"),
    [
        ([ROW | {"other": None}], 1, "other"),
        ([{"question": ROW["question"], "other": "x?"}], 1, "third"),
        ([ROW | {"third": "where was Ada born"}], 1, "third"),  # the question itself
        ([ROW | {"third": "Whence is Ada"}], 1, "third"),
        ([ROW, ROW | {"third": "Which place is Ada from?"}], 2, "question"),
        ([{"question": "Where was Bo born?"}], None, "question"),
    ],
)
def test_a_table_whose_wordings_cannot_be_used_is_told(tmp_path, rows, row, key):
    with pytest.raises(InputError) as caught:
        read(tmp_path, *rows)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(tmp_path / "t.jsonl"), row, key)
