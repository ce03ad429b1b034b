"""The facts table: ids, validation, and the steps from raw facts to a study's facts."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from gradual.data import facts as f
from gradual.data import subsets
from gradual.ground.errors import InputError

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas" / "facts.schema.json").read_text(encoding="utf-8"))


def row(i, relation="P17", split="train", answers=None, **changes):
    subject = f"place {relation} {i}"
    answers = [f"answer {i}"] if answers is None else answers
    fact = {"split": split, "relation": relation, "subject": subject, "question": f"Where is {subject}?"}
    return fact | {"answers": answers} | changes


def table(n=50, relations=("P17", "P19"), **changes):
    return f.make_table(row(i, relation, **changes) for relation in relations for i in range(n))


def test_columns_order_and_ids():
    facts = table()
    assert list(facts.columns) == f.COLUMNS
    assert facts["fact_id"].is_unique
    assert facts["fact_id"].str.fullmatch("[0-9a-f]{16}").all()
    pd.testing.assert_frame_equal(facts, facts.sort_values(["split", "relation", "fact_id"], ignore_index=True))


def test_ids_do_not_change_between_versions():
    [fact_id] = f.make_table([row(1)])["fact_id"]
    assert fact_id == "9cb19e030fae3fbf"


def test_table_does_not_depend_on_row_order_and_repeated_rows_stay_distinct():
    rows = [row(i) for i in range(20)] + [row(3), row(3), row(7)]
    forward, backward = f.make_table(rows), f.make_table(rows[::-1])
    pd.testing.assert_frame_equal(forward, backward)
    assert forward["fact_id"].nunique() == 23


@pytest.mark.parametrize(
    "change",
    [{"split": "dev"}, {"relation": "P19"}, {"subject": "other"}, {"question": "other?"}, {"answers": ["b", "c"]}],
)
def test_every_part_of_a_row_counts_in_its_id(change):
    changed = row(1) | change
    assert f.make_table([row(1)])["fact_id"][0] != f.make_table([changed])["fact_id"][0]


BAD_CELLS = [
    ("fact_id", "123"),
    ("fact_id", "XYZ19e030fae3fbf"),
    ("fact_id", None),
    ("split", "validation"),
    ("split", None),
    ("relation", " "),
    ("relation", None),
    ("subject", None),
    ("question", ""),
    ("question", "\t"),
    ("question", None),
    ("answers", []),
    ("answers", ["a", " "]),
    ("answers", ["a", None]),
    ("answers", [1]),
    ("answers", None),
    ("answers", "text"),
]


@pytest.mark.parametrize(("key", "value"), BAD_CELLS)
def test_validate_names_file_row_and_key_and_agrees_with_the_schema(key, value):
    facts = table(n=3, relations=["P17"]).astype(object)
    facts.at[1, key] = value
    with pytest.raises(InputError) as caught:
        f.validate(facts, "facts.parquet")
    assert (caught.value.file, caught.value.row, caught.value.key) == ("facts.parquet", 2, key)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(facts.to_dict("records")[1], SCHEMA)


def test_validate_passes_what_the_schema_passes():
    facts = f.make_table([row(1), row(2, subject=""), *(row(i, split=s) for i, s in enumerate(f.SPLITS))])
    assert f.validate(facts, "x") is facts
    for record in facts.to_dict("records"):
        jsonschema.validate(record, SCHEMA)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert list(SCHEMA["properties"]) == f.COLUMNS == SCHEMA["required"]
    assert tuple(SCHEMA["properties"]["split"]["enum"]) == f.SPLITS


def test_validate_refuses_repeated_ids_other_columns_and_no_rows():
    facts = table(n=2)
    for bad, problem in [
        (pd.concat([facts, facts]), "an id that no other row has"),
        (facts.drop(columns="subject"), "the columns"),
        (facts.assign(more=1), "the columns"),
        (facts.iloc[:0], "holds no facts"),
    ]:
        with pytest.raises(InputError, match=problem) as caught:
            f.validate(bad, "facts.parquet")
        assert caught.value.file == "facts.parquet"


def test_read_facts_gives_back_what_was_written(tmp_path):
    facts = table(n=5, answers=["a", "b"])
    facts.to_parquet(tmp_path / "facts.parquet", index=False)
    pd.testing.assert_frame_equal(f.read_facts(tmp_path / "facts.parquet"), facts)


@pytest.mark.parametrize("content", [None, b"", b"no parquet", pd.DataFrame({"a": [1]})])
def test_read_facts_refuses_other_files(tmp_path, content):
    path = tmp_path / "facts.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content.to_parquet(path)
    with pytest.raises(InputError) as caught:
        f.read_facts(path)
    assert caught.value.file == str(path)


def test_read_facts_refuses_facts_without_answers(tmp_path):
    facts = table(n=2).astype({"answers": object})
    facts.at[1, "answers"] = None
    facts.to_parquet(tmp_path / "facts.parquet")
    with pytest.raises(InputError, match=r"row 2, key 'answers'"):
        f.read_facts(tmp_path / "facts.parquet")


def test_single_answer_counts_repeated_answers_as_several_and_only_in_the_named_splits():
    facts = f.make_table(
        [row(1), row(2, answers=["a", "b"]), row(3, answers=["a", "a"]), row(4, split="dev", answers=["a", "b"])]
    )
    assert sorted(subsets.single_answer(facts, ["train"])["subject"]) == ["place P17 1", "place P17 4"]
    assert len(subsets.single_answer(facts, [])) == 4


def test_keep_relations():
    facts = table(n=3, relations=["birthplace", "founder"])
    assert set(subsets.keep_relations(facts, ["founder"], "x")["relation"]) == {"founder"}
    with pytest.raises(InputError, match=r"'birthplaces'.*did you mean 'birthplace'\?") as caught:
        subsets.keep_relations(facts, ["founder", "birthplaces"], "facts")
    assert caught.value.key == "dataset.relations"


def test_carve_takes_its_share_of_each_relation_and_keeps_ids():
    facts = table(n=50)
    carved = subsets.carve(facts, {"test": 0.32, "dev": 0.08, "support": 0.2}, 0, "x")
    assert sorted(carved["fact_id"]) == sorted(facts["fact_id"])
    counts = carved.groupby(["relation", "split"]).size()
    for relation in ("P17", "P19"):
        assert counts[relation].to_dict() == {"train": 20, "test": 16, "dev": 4, "support": 10}
    merged = carved.merge(facts, on="fact_id", suffixes=("", "_before"))
    assert (merged["question"] == merged["question_before"]).all()


def test_carve_and_sample_depend_on_the_seed_alone():
    facts = table(n=50)
    shuffled = facts.sample(frac=1, random_state=1).reset_index(drop=True)
    for step in (
        lambda frame, seed: subsets.carve(frame, {"test": 0.3}, seed, "x"),
        lambda frame, seed: subsets.sample(frame, {"train": 30}, seed),
    ):
        pd.testing.assert_frame_equal(step(facts, 0), step(shuffled, 0))
        assert not step(facts, 0).equals(step(facts, 1))


def test_carve_leaves_its_input_and_other_splits_alone():
    facts = pd.concat([table(n=10), table(n=5, split="dev")], ignore_index=True)
    before = facts.copy(deep=True)
    carved = subsets.carve(facts, {"test": 0.2}, 0, "x")
    pd.testing.assert_frame_equal(facts, before)
    assert (carved["split"] == "dev").sum() == 10
    assert subsets.carve(facts, {}, 0, "x") is facts


@pytest.mark.parametrize(
    ("shares", "n", "problem", "key"),
    [
        ({"test": 0.6, "dev": 0.4}, 10, "leave no train facts", "dataset.carve"),
        ({"test": 0.9}, 1, "'P17' has 1", "dataset.carve"),
        ({"train": 0.1}, 10, "already has a split 'train'", "dataset.carve.train"),
        ({"test": 0.1, "dev": 0.3}, 3, "gives no facts", "dataset.carve.test"),
    ],
)
def test_carve_refuses(shares, n, problem, key):
    with pytest.raises(InputError, match=problem) as caught:
        subsets.carve(table(n=n), shares, 0, "facts")
    assert (caught.value.file, caught.value.key) == ("facts", key)


def test_sample_caps_only_the_named_splits():
    facts = pd.concat([table(n=20), table(n=20, split="dev")], ignore_index=True)
    kept = subsets.sample(facts, {"train": 7, "test": 3}, 0)
    assert kept["split"].value_counts().to_dict() == {"dev": 40, "train": 7}
    larger = subsets.sample(facts, {"train": 9}, 0)
    assert set(kept["fact_id"]) <= set(larger["fact_id"])
    pd.testing.assert_frame_equal(subsets.sample(facts, {}, 0), f.sort(facts))


def test_drop_overlap():
    facts = f.make_table(
        [
            row(0, split="test", question="Where IS it?", subject="Straße", answers=["Bern", "Basel"]),
            row(1, question="where is it?"),
            row(2, subject="STRASSE"),
            row(3, answers=["other", "BASEL"]),
            row(4, split="dev", question="Where is it?"),
            row(5, split="test", subject="", answers=["Rome"]),
            row(6, subject=""),
        ]
    )

    def kept(*keys):
        return sorted(
            int(question[-2]) for question in subsets.drop_overlap(facts, keys)["question"] if question[-2].isdigit()
        )

    everything = subsets.drop_overlap(facts, [])
    pd.testing.assert_frame_equal(everything, facts)
    assert len(subsets.drop_overlap(facts, ["question"])) == 6
    assert kept("question") == [2, 3, 5, 6]
    assert kept("subject") == [3, 5, 6]
    assert kept("answer") == [2, 5, 6]
    assert set(subsets.drop_overlap(facts, ["question", "subject", "answer"])["split"]) == {"test", "dev", "train"}
    assert kept("question", "subject", "answer") == [5, 6]


def test_count():
    facts = f.make_table([row(1), row(2, answers=["a", "b"]), row(3, "P19"), row(4, split="dev")])
    counts = f.count(facts).set_index("split")
    assert counts.loc["train"].to_dict() == {"facts": 3, "single_answer": 2, "relations": 2}
    assert counts.loc["dev"].to_dict() == {"facts": 1, "single_answer": 1, "relations": 1}


def pool(relation, count, split="train", question="{relation} {i}?"):
    row = {"split": split, "relation": relation, "subject": "", "answers": ["a"]}
    return [row | {"question": question.format(relation=relation, i=i)} for i in range(count)]


def test_too_few_exemplars_are_found_before_any_model_is_loaded():
    table = f.make_table([*pool("r", 4), *pool("other", 1, "support")])
    subsets.check_exemplars(table, "train", 3, "data")
    with pytest.raises(InputError, match=r"too few questions in split 'train': 'r' has 4; expected at least 5"):
        subsets.check_exemplars(table, "train", 4, "data")


def test_all_relations_with_too_few_questions_are_named_with_what_to_do():
    table = f.make_table(row for i in range(30) for row in pool(f"r{i:02d}", 6 if i < 5 else 2))
    with pytest.raises(InputError, match=r"25 of 30 relations .* and 5 more") as caught:
        subsets.check_exemplars(table, "train", 4, "data")
    assert [f"'r{i:02d}' has 2" in str(caught.value) for i in range(30)] == [False] * 5 + [True] * 20 + [False] * 5
    assert all(word in str(caught.value) for word in ("one_pool", "dataset.relations", "fewer probe.shots"))
    with pytest.raises(InputError, match=r"from 2 relations: 'a' has 2, 'b' has 2"):
        subsets.carve(f.make_table([*pool("a", 2), *pool("b", 2), *pool("c", 9)]), {"test": 0.9}, 0, "data")
    with pytest.raises(InputError, match=r"no relation 'x'.*\n.*no relation 'y'"):
        subsets.keep_relations(table, ["x", "r01", "y"], "data")


# Texts that a reader takes for the same, and the keys that take them for the same.
TWINS = [
    ("Where is it?", "where IS  it", {"question"}),
    ("Where is it?", "Where\u00a0is it ??", {"question"}),
    ("Where is it?", "Where is it\u200b.", {"question"}),
    ("Straße", "STRASSE", {"question", "subject", "answer"}),
    ("Caf\u00e9", "Cafe\u0301", {"question", "subject", "answer"}),
    ("U.S.", "U.S", {"question"}),
    ("Where is it?", "Where was it?", set()),
]


@pytest.mark.parametrize(("one", "other", "same"), TWINS)
@pytest.mark.parametrize("key", ["question", "subject", "answer"])
def test_what_overlaps_is_compared_in_its_normal_form(one, other, same, key):
    field = {"answer": "answers"}.get(key, key)
    values = [[text] if key == "answer" else text for text in (one, other)]
    facts = f.make_table([row(1, split="test", **{field: values[0]}), row(2, **{field: values[1]})])
    assert (len(subsets.drop_overlap(facts, [key])) == 1) == (key in same)


@pytest.mark.parametrize(("one", "other", "same"), TWINS)
def test_questions_that_are_the_same_are_one_exemplar(one, other, same):
    facts = f.make_table([row | {"question": text} for row, text in zip(pool("r", 2), (one, other), strict=True)])
    if "question" not in same:
        return subsets.check_exemplars(facts, "train", 1, "data")
    with pytest.raises(InputError, match="'r' has 1"):
        subsets.check_exemplars(facts, "train", 1, "data")


def test_all_rows_that_break_the_schema_are_named():
    facts = table(n=30, relations=["P17"]).astype(object)
    facts.loc[5:, "question"] = ""
    with pytest.raises(InputError, match="and 5 more") as caught:
        f.validate(facts, "facts.parquet")
    assert caught.value.row == 6 and str(caught.value).count("key 'question'") == 20
