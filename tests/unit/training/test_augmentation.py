"""Augmented questions: their forms, their flags, the gate, and what templates write."""

import json
import math
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from gradual.data.augmentation_forms import BACKGROUND, LOGIC, PARAPHRASE
from gradual.data.facts import make_table
from gradual.data.wording_templates import by_templates
from gradual.ground.errors import InputError
from gradual.training.augmentation import (
    AUGMENTED_COLUMNS,
    GATE,
    count,
    earlier_answers,
    flag,
    gate,
    has_form,
    judge,
    read_augmented,
    to_write,
    usable,
)
from gradual.training.augmentation_templates import write_by_templates

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "schemas" / "augmented.schema.json").read_text(encoding="utf-8"))
ADA, BO = "a" * 16, "b" * 16
SUBJECTS = {ADA: "Ada Lis", BO: "Bo"}
BORN = "Where was Ada Lis born?"


def rows_of(*written, fact=ADA, question=BORN, whole=True):
    """Rows of a way and what was written, by a model."""
    table = pd.DataFrame(written, columns=["way", "written"])
    return table.assign(fact_id=fact, question=question, made_by="model", whole=whole)


FORMS = [
    (PARAPHRASE, "In which city was Ada Lis born?", True),
    (PARAPHRASE, "where was Ada Lis  born ?", False),  # the question itself
    (PARAPHRASE, "Ada Lis was born in Rome.", False),
    (PARAPHRASE, "Where? In which city was Ada Lis born?", False),
    (PARAPHRASE, "?", False),
    (PARAPHRASE, "", False),
    (BACKGROUND, "Ada Lis is a baker.", True),
    (BACKGROUND, "Ada Lis is a baker. Ada Lis plays jazz.", True),
    (BACKGROUND, "Ada Lis is a baker", False),
    (BACKGROUND, "Who is Ada Lis? A baker.", False),
    (BACKGROUND, "", False),
    (BACKGROUND, ".", False),
    (LOGIC, "Ada Lis married Bo. Bo comes from Rome.", True),
    (LOGIC, "Ada Lis married Bo.", False),
    (LOGIC, "Ada Lis married Bo. Bo comes from", False),
]


@pytest.mark.parametrize(("way", "written", "fits"), FORMS)
def test_what_has_the_form_of_its_way(way, written, fits):
    assert has_form(way, BORN, written) == fits
    (row,) = judge(rows_of((way, written)), SUBJECTS).to_dict("records")
    expected = {PARAPHRASE: written}.get(way, f"{written} {BORN}") if fits else ""
    assert row["parsed"] == fits and row["augmented"] == expected


def test_a_text_that_was_cut_off_has_no_form():
    found = judge(rows_of((BACKGROUND, "Ada Lis is a baker."), whole=False), SUBJECTS)
    assert not found["parsed"].any() and found["subject_kept"].all()


def test_the_subject_is_kept_in_any_case_and_a_fact_without_one_is_refused():
    found = judge(rows_of((BACKGROUND, "ADA  LIS bakes."), (BACKGROUND, "Ada bakes.")), SUBJECTS)
    assert found["subject_kept"].tolist() == [True, False]
    with pytest.raises(InputError, match="has no subject") as caught:
        judge(rows_of((BACKGROUND, "She bakes.")), {ADA: ""})
    assert caught.value.key == "subject"


@pytest.mark.parametrize(
    ("form", "subject", "passes"), [(9, 10, True), (8, 10, False), (10, 8, True), (10, 7, False), (9, 8, True)]
)
def test_the_gate_needs_the_form_in_90_and_the_subject_in_80_percent(form, subject, passes):
    assert GATE == {"parsed": 0.9, "subject_kept": 0.8}
    judged = pd.DataFrame({
        "fact_id": ADA, "way": LOGIC, "parsed": [i < form for i in range(10)],
        "subject_kept": [i < subject for i in range(10)],
    })  # fmt: skip
    (row,) = gate(judged).to_dict("records")
    assert row == {
        "way": LOGIC, "facts": 10, "parsed": form / 10, "subject_kept": subject / 10, "passed": passes,
    }  # fmt: skip


def test_an_answer_that_was_valid_before_is_an_old_one():
    revisions = pd.DataFrame(
        [(ADA, 0, "Rome"), (ADA, 1, "Oslo"), (ADA, 2, "Bern"), (BO, 0, "jazz")],
        columns=["fact_id", "revision", "answer"],
    )
    assert earlier_answers(revisions, 1) == {ADA: ["Rome"], BO: ["jazz"]}
    assert earlier_answers(revisions, 0) == {}
    assert earlier_answers(revisions, None) == {ADA: ["Rome", "Oslo", "Bern"], BO: ["jazz"]}


def test_leaks_old_answers_and_wordings_of_tests_are_flagged():
    rows = rows_of(
        (BACKGROUND, "Ada Lis is a baker."),
        (BACKGROUND, "Ada Lis lives in OSLO."),  # the answer to train on
        (BACKGROUND, "Ada Lis lives in Rome."),
        (PARAPHRASE, "Which place does Ada Lis come from?"),
        (BACKGROUND, "She is a baker."),
        (BACKGROUND, "Ada Lis is"),
    )
    tested = {ADA: ["which place does Ada Lis come from"], BO: ["Ada Lis is a baker. Where was Ada Lis born?"]}
    found = flag(judge(rows, SUBJECTS), ["Oslo"] * 6, {ADA: ["Rome", "Oslo"]}, tested)
    assert found["new_inside"].tolist() == [False, True, False, False, False, False]
    assert found["old_inside"].tolist() == [False, False, True, False, False, False]
    assert found["tested"].tolist() == [False, False, False, True, False, False]
    assert usable(found).tolist() == [True, False, True, False, False, False]


def test_an_answer_that_the_question_holds_is_no_leak():
    question = "Is Ada Lis from Oslo?"
    rows = rows_of((PARAPHRASE, "Does Ada Lis come from Oslo?"), question=question)
    found = flag(judge(rows, SUBJECTS), ["Oslo"], {ADA: ["oslo"]}, {})
    assert not found["new_inside"].any() and not found["old_inside"].any()


def whole_rows():
    """A usable row, a leak and a row without a form, and the file that they make."""
    leak = "Ada Lis is in Oslo. Ada Lis bakes."
    rows = rows_of((PARAPHRASE, "In which city was Ada Lis born?"), (LOGIC, leak), (LOGIC, "So"))
    found = flag(judge(rows, SUBJECTS), ["Oslo"] * 3, {}, {})
    return found.assign(agrees=pd.array([True, False, None], dtype="boolean"))[list(AUGMENTED_COLUMNS)]


def test_the_counts_tell_the_flags_by_way_and_the_figures_of_the_gate():
    gated = pd.DataFrame({"way": [PARAPHRASE], "facts": [9], "parsed": [0.95], "subject_kept": [0.9], "passed": [True]})
    first, second = count(whole_rows(), gated).to_dict("records")
    assert first["gate_parsed"] == 0.95 and first["gate_passed"] is True and math.isnan(second["gate_facts"])
    assert [first[key] for key in ("questions", "parsed", "usable", "agrees")] == [1, 1, 1, 1]
    assert [second[key] for key in ("questions", "parsed", "new_inside", "usable", "agrees")] == [2, 1, 1, 0, 0]
    assert [*count(whole_rows(), pd.DataFrame(columns=["way"]))] == [*first]


def test_a_row_is_as_the_schema_says_and_is_read_as_it_is_written(tmp_path):
    rows = whole_rows()
    rows.to_parquet(tmp_path / "x.parquet", index=False)
    for row in json.loads(rows.to_json(orient="records")):
        jsonschema.validate(row, SCHEMA)
    assert read_augmented(tmp_path / "x.parquet").equals(rows)
    rows.assign(augmented=" ").to_parquet(tmp_path / "x.parquet", index=False)
    with pytest.raises(InputError) as caught:
        read_augmented(tmp_path / "x.parquet")
    assert (caught.value.row, caught.value.key) == (1, "augmented")


# --- templates ---------------------------------------------------------------------------------------------------------


def fact(relation, subject, question, answer, split="train"):
    return {"split": split, "relation": relation, "subject": subject, "question": question, "answers": [answer]}


FACTS = make_table([
    fact("performer", "The Song", "Who performed The Song?", "Ada"),
    fact("work_genre", "The Song", "What genre is The Song?", "soul", "support"),
    fact("work_label", "The Song", "Which label released The Song?", "Bo Records"),
    fact("artist_label", "Ada", "Which label is Ada signed to?", "Bo Records"),
    fact("language", "The Song", "Which language is The Song in?", "Oslish", "test"),
])  # fmt: skip
ID = FACTS.set_index("relation")["fact_id"]


def written(*grouped, way, seed=0, augment=(1, 2)):
    rows = to_write(FACTS[FACTS["relation"] == "work_label"], [way])
    found = write_by_templates(rows, FACTS, list(grouped), by_templates(FACTS, augment), seed)
    assert set(found["made_by"]) == {"templates"} and found["whole"].all()
    return found["written"].item()


def test_templates_write_other_wordings():
    found = {written(way=PARAPHRASE, seed=seed) for seed in range(20)}
    assert found == set(by_templates(FACTS[FACTS["relation"] == "work_label"], [1, 2])["question"])
    assert written(way=PARAPHRASE, augment=(0,)) == ""


def test_templates_state_neither_facts_of_groups_nor_of_tests():
    texts = [written(way=BACKGROUND, seed=seed) for seed in range(20)]
    assert all("The Song" in text for text in texts)
    assert any("Ada" in text for text in texts) and any("soul" in text for text in texts)
    assert not any("Bo Records" in text or "Oslish" in text for text in texts)
    assert all("Ada" not in written(ID["performer"], way=BACKGROUND, seed=seed) for seed in range(20))
    assert written(ID["performer"], ID["work_genre"], way=BACKGROUND) == ""


def test_templates_write_a_chain_where_there_is_one():
    text = written(ID["work_label"], way=LOGIC)
    assert has_form(LOGIC, "Which label released The Song?", text) and "The Song" in text and "Bo Records" in text
    assert written(ID["artist_label"], way=LOGIC) == ""


def test_each_question_is_written_about_in_each_way():
    asked = pd.DataFrame({"fact_id": [ADA, ADA], "question": ["x?", "y?"]})
    found = to_write(asked, [LOGIC, PARAPHRASE])
    assert found.to_dict("list") == {
        "fact_id": [ADA] * 4, "question": ["x?", "x?", "y?", "y?"], "way": [LOGIC, PARAPHRASE] * 2,
    }  # fmt: skip
