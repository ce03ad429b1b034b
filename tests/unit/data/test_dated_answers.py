"""A user's file of dated answers."""

import json
from datetime import date

import pandas as pd
import pytest

from gradual.data.facts import make_table
from gradual.data.readers.dated_answers import read_dated_answers
from gradual.data.revisions import REVISION_COLUMNS
from gradual.ground.errors import InputError

PEOPLE = ["Ann", "Bo", "Cy"]
FACTS = make_table(
    {"split": split, "relation": "head", "subject": land, "question": f"Who heads {land}?", "answers": [person]}
    for split, land, person in (("train", "Aland", "Ann"), ("train", "Boland", "Bo"), ("test", "Coland", "Cy"))
)
ID = FACTS.set_index("subject")["fact_id"].to_dict()
ROWS = [  # (land, year, answer), not in order
    ("Boland", 2021, "Dee"),
    ("Aland", 2023, "Eva"),
    ("Aland", 2019, "Ann"),
    ("Aland", 2021, "Ben"),
    ("Coland", 2020, "Fay"),
]
FOUND = {("Aland", 3): "Ben", ("Aland", 4): "Eva", ("Boland", 3): "Dee"}  # the years are 2019, 2020, 2021 and 2023


def rows(key="question", when="date", **columns):
    """The rows above, which name their facts by `key`, with other names of columns."""
    name = {"question": lambda land: f"Who heads {land}?", "fact_id": ID.get}[key]
    made = [{key: name(land), when: year, "answer": person} for land, year, person in ROWS]
    return [{columns.get(k, k): value for k, value in row.items()} for row in made]


def lines(made):
    return "".join(json.dumps(row) + "\n" for row in made)


def read(tmp_path, name, content, **columns):
    file = tmp_path / name
    file.write_text(content) if isinstance(content, str) else content(file)
    return read_dated_answers(file, columns, FACTS)


def found_in(revisions):
    land = {fact: name for name, fact in ID.items()}
    assert tuple(revisions.columns) == REVISION_COLUMNS
    return {(land[fact], number): answer for fact, number, answer in revisions.itertuples(index=False)}


FILES = {
    "x.jsonl": lines(rows()),
    "x.csv": pd.DataFrame(rows()).to_csv(index=False),
    "x.tsv": pd.DataFrame(rows()).to_csv(index=False, sep="\t"),
    "x.json": json.dumps(rows()),
    "x.parquet": lambda file: pd.DataFrame(rows()).to_parquet(file),
}


@pytest.mark.parametrize("name", FILES)
def test_dates_become_revisions_in_their_order(tmp_path, name):
    assert found_in(read(tmp_path, name, FILES[name])) == FOUND


def test_facts_are_named_by_id_or_question_and_columns_have_any_name(tmp_path):
    assert found_in(read(tmp_path, "a.jsonl", lines(rows("fact_id")))) == FOUND
    renamed = lines(
        [{"q": row["question"].upper(), "on": {"year": row["date"]}, "said": row["answer"]} for row in rows()]
    )
    assert found_in(read(tmp_path, "b.jsonl", renamed, question="q", date="on.year", answer="said")) == FOUND


def test_a_date_is_a_year_a_month_or_a_day(tmp_path):
    for dates in (["2020-12", "2021-02"], ["2020-12-31", "2021-01-01"], [date(2020, 1, 2), date(2020, 1, 3)]):
        made = pd.DataFrame({"question": "Who heads Aland?", "date": dates[::-1], "answer": ["Ben", "Eva"]})
        revisions = read(tmp_path, "x.parquet", made.to_parquet)
        assert found_in(revisions) == {("Aland", 1): "Eva", ("Aland", 2): "Ben"}


def test_numbers_of_revisions_stay_and_an_answer_that_does_not_change_is_no_revision(tmp_path):
    made = [{"fact_id": ID["Aland"], "revision": n, "answer": said} for n, said in enumerate(["Ann ", "Ben", "Ben"], 1)]
    made += [{"fact_id": ID["Boland"], "revision": "3", "answer": 7}]
    assert found_in(read(tmp_path, "x.jsonl", lines(made))) == {("Aland", 2): "Ben", ("Boland", 3): "7"}


GOOD = {"question": "Who heads Aland?", "date": 2020, "answer": "Ben"}
BAD = {
    "unknown question": ([GOOD, GOOD | {"question": "Who heads Doland?"}], 2, "question", "max_facts"),
    "no question": ([{"date": 2020, "answer": "Ben"}, GOOD], 1, "question", "is missing"),
    "unknown id": ([GOOD, GOOD | {"fact_id": "0" * 16}], 2, "fact_id", "the id of a fact of the study"),
    "misspelt column": ([{"question": "Who heads Aland?", "date": 1, "anwser": "Ben"}, GOOD], 1, "date", "2024-05-31"),
    "no answer": ([GOOD, GOOD | {"date": 2021, "answer": ""}], 2, "answer", "not empty"),
    "several answers": ([GOOD, GOOD | {"date": 2021, "answer": ["x", "y"]}], 2, "answer", "not empty"),
    "an answer in two lines": ([GOOD, GOOD | {"date": 2021, "answer": "x\ny"}], 2, "answer", "one line"),
    "no date": ([GOOD, {"question": "Who heads Aland?", "answer": "Eva"}], 2, "date", "neither a date nor a revision"),
    "both": ([GOOD, GOOD | {"revision": 2}], 2, "date", "both a date and a revision"),
    "no such day": ([GOOD, GOOD | {"date": "2020-02-30"}], 2, "date", "2024-05-31"),
    "a time of another form": ([GOOD, GOOD | {"date": "May 2021"}], 2, "date", "2024-05-31"),
    "true": ([GOOD, GOOD | {"date": True}], 2, "date", "2024-05-31"),
    "mixed dates": ([GOOD, GOOD | {"date": "2021-05"}], 2, "date", "the form of '2020' in row 1"),
    "dates and numbers": (
        [GOOD, {"question": "Who heads Aland?", "revision": 1, "answer": "Eva"}],
        2,
        "date",
        "dates alone, or numbers alone",
    ),
    "revision 0": ([{"question": "Who heads Aland?", "revision": 0, "answer": "Eva"}], 1, "revision", "from 1"),
    "a gap": (
        [{"question": "Who heads Aland?", "revision": n, "answer": str(n)} for n in (1, 3)],
        2,
        "revision",
        "there is no revision 2",
    ),
    "twice": ([GOOD, GOOD | {"answer": "Eva"}], 2, "answer", "as in row 1"),
    "nothing new": ([GOOD | {"answer": "Ann"}], None, "answer", "changes no answer"),
    "test facts alone": ([GOOD | {"question": "Who heads Coland?"}], None, "answer", "changes no answer"),
}


@pytest.mark.parametrize(("made", "row", "key", "says"), BAD.values(), ids=BAD)
def test_rows_that_cannot_be_used_are_told(tmp_path, made, row, key, says):
    with pytest.raises(InputError) as caught:
        read(tmp_path, "x.jsonl", lines(made))
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(tmp_path / "x.jsonl"), row, key)
    assert says in str(caught.value)


def test_a_question_of_two_facts_needs_an_id(tmp_path):
    twice = pd.concat([FACTS, FACTS[:1].assign(fact_id="f" * 16)], ignore_index=True)
    asked = twice["question"].iloc[0]
    (tmp_path / "x.jsonl").write_text(lines([{"question": asked, "date": 2020, "answer": "new"}]))
    with pytest.raises(InputError, match="the fact_id of one of the 2 facts .*f{16}"):
        read_dated_answers(tmp_path / "x.jsonl", {}, twice)


def test_all_bad_rows_are_told_together(tmp_path):
    made = [GOOD, GOOD | {"date": "then"}, GOOD | {"answer": None}]
    with pytest.raises(InputError) as caught:
        read(tmp_path, "x.jsonl", lines(made))
    assert "row 2" in str(caught.value) and "row 3" in str(caught.value)


@pytest.mark.parametrize(("name", "content"), [("x.jsonl", "{"), ("x.jsonl", ""), ("x.parquet", "no"), ("x.txt", "a")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content):
    with pytest.raises(InputError) as caught:
        read(tmp_path, name, content)
    assert caught.value.file == str(tmp_path / name)
