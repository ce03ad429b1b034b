"""Training examples: what a run trains on and replays, as a file."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.knowledge import selection_roles
from gradual.training.examples import DATASET, EXAMPLE_COLUMNS, build_examples, read_examples
from tiny import facts

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "schemas" / "examples.schema.json").read_text(encoding="utf-8"))
FACTS = facts()
TRAIN = FACTS[FACTS["split"] == "train"].reset_index(drop=True)


def selection(*roles):
    """The first train facts with these roles."""
    return pd.DataFrame({"fact_id": TRAIN["fact_id"].iloc[: len(roles)], "role": list(roles)})


def written(examples, folder):
    write_parquet(examples, folder / "examples.parquet")
    return folder / "examples.parquet"


def test_examples_are_the_questions_and_answers_of_the_selected_facts_those_to_train_on_first(tmp_path):
    built = build_examples(selection("replay", "train", "replay", "train"), FACTS)
    assert tuple(built.columns) == EXAMPLE_COLUMNS
    chosen = TRAIN.iloc[[1, 3, 0, 2]]  # within a role in the order of the selection
    assert built["fact_id"].tolist() == chosen["fact_id"].tolist()
    assert built["role"].tolist() == ["train", "train", "replay", "replay"]
    assert built["question"].tolist() == chosen["question"].tolist()
    assert built["answer"].tolist() == [answers[0] for answers in chosen["answers"]]
    assert set(built["source"]) == {DATASET}
    assert read_examples(written(built, tmp_path)).equals(built)


def test_the_rows_are_as_their_schema_declares():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert (*SCHEMA["properties"],) == EXAMPLE_COLUMNS == (*SCHEMA["required"],)
    assert tuple(SCHEMA["properties"]["role"]["enum"]) == (selection_roles.TRAIN, selection_roles.REPLAY)
    for row in build_examples(selection("train", "replay"), FACTS).to_dict("records"):
        jsonschema.validate(row, SCHEMA)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(row | {"role": "test"}, SCHEMA)


def test_of_several_answers_the_first_is_trained():
    table = FACTS.assign(answers=[[f"first {i}", "second"] for i in range(len(FACTS))])
    built = build_examples(selection("train"), table)
    assert built["answer"].item() == table.set_index("fact_id")["answers"][built["fact_id"].item()][0]


@pytest.mark.parametrize("split", ["dev", "test", "support"])
def test_a_fact_that_is_no_train_fact_is_no_example(split):
    others = FACTS.assign(split=FACTS["split"].replace("dev", split))
    other = others[others["split"] == split]["fact_id"].iloc[0]
    chosen = pd.concat([selection("train"), pd.DataFrame({"fact_id": [other], "role": ["replay"]})])
    with pytest.raises(InputError, match=f"fact {other} is not in the split train; expected train facts") as caught:
        build_examples(chosen, others)
    assert (caught.value.file, caught.value.key) == ("selection", "fact_id")


def test_examples_may_be_of_other_sources_and_repeat_a_fact(tmp_path):
    """Other answers, questions or sources are other rows, not other code."""
    built = build_examples(selection("train", "replay"), FACTS)
    more = built.iloc[:1].assign(answer="my own", source="model")
    both = pd.concat([more, built], ignore_index=True)
    assert read_examples(written(both, tmp_path)).equals(both)


UNFIT = {
    "an unknown role": (["train", "test", "replay"], 2, "'test'; expected train or replay"),
    "no role": (["train", None], 2, "; expected train or replay"),
    "replayed ones first": (["replay", "train"], None, "rows to replay stand before rows to train on; expected rows"),
    "one to replay between": (["train", "replay", "train"], None, "rows to replay stand before rows to train on"),
    "none to train on": (["replay"], None, "has no row to train on; expected at least one"),
    "none at all": ([], None, "has no row to train on"),
}


@pytest.mark.parametrize(("roles", "row", "words"), UNFIT.values(), ids=UNFIT)
def test_examples_that_break_their_schema_are_named(roles, row, words, tmp_path):
    built = build_examples(selection(*(["train"] * len(roles))), FACTS)
    file = written(built.assign(role=pd.Series(roles, dtype=object)), tmp_path)
    with pytest.raises(InputError) as caught:
        read_examples(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), row, "role")
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "  ", None])
@pytest.mark.parametrize("column", [column for column in EXAMPLE_COLUMNS if column != "role"])
def test_an_empty_text_is_named_with_its_row_and_column(column, text, tmp_path):
    built = build_examples(selection("train", "train"), FACTS)
    file = written(built.assign(**{column: [built[column][0], text]}), tmp_path)
    with pytest.raises(InputError, match="a text that is not empty") as caught:
        read_examples(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), 2, column)


@pytest.mark.parametrize("column", EXAMPLE_COLUMNS)
def test_examples_without_a_column_are_named(column, tmp_path):
    file = written(build_examples(selection("train"), FACTS).drop(columns=column), tmp_path)
    with pytest.raises(InputError, match="expected the examples of a run with this column") as caught:
        read_examples(file)
    assert (caught.value.file, caught.value.key) == (str(file), column)


EMPTY = {"no text": None, "a number": 3, "empty": "", "space": " ", "not a number": float("nan")}


@pytest.mark.parametrize("value", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("column", ["question", "answer"])
def test_a_question_or_an_answer_that_is_no_text_is_named(column, value, tmp_path):
    built = build_examples(selection("train", "train"), FACTS).astype({column: object})
    built[column] = [value] * 2 if value == 3 else [built[column].iloc[0], value]
    file = written(built, tmp_path)
    with pytest.raises(InputError, match="expected a text that is not empty") as caught:
        read_examples(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), 1 if value == 3 else 2, column)
