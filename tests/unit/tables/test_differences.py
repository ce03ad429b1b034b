"""The differences between the tables of two results folders: each kind is found and named, and nothing else is."""

import json

import pytest

from gradual.ground.errors import InputError
from gradual.tables.differences import FEW, causes, counted, described, differences, unlike
from tiny import facts

SEVENTH = """model,label,seeds,name,percent,p
qwen2,tiny,1,Origin,39.28776565192418,
qwen2,tiny,1,One-Stage,44.514646754738656,3.126459879557898e-11
llama3,tiny,1,Origin,24.99,0.080
"""
CLAIMS = """model,claim,verdict
qwen2,"Stage 1 lifts, or not",shows
qwen2,It grows,undecided
"""
SCHEMA = {"type": "object", "properties": {"later": {"default": 1}}}


def folder(path, tables, shows=("7", "claims"), **told):
    """A results folder with tables, and a provenance by which the study shows some of them."""
    config = {"tables": {"show": [int(show) if show.isdigit() else show for show in shows]}} | told.pop("config", {})
    (path / "tables").mkdir(parents=True)
    made = {"config": config, "data_sha256": {}, "base_models": {}} | told
    (path / "provenance.json").write_text(json.dumps(made))
    for name, text in tables.items():
        (path / "tables" / f"{name}.csv").write_text(text)
    return path


def compared(tmp_path, seventh=SEVENTH, claims=CLAIMS, **others):
    expected = folder(tmp_path / "expected", {"table_07": SEVENTH, "claims": CLAIMS})
    tables = {"table_07": seventh, "claims": claims} | others
    return differences(expected, folder(tmp_path / "found", {name: text for name, text in tables.items() if text}))


def test_equal_tables_have_no_differences(tmp_path):
    assert compared(tmp_path) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("39.28776565192418", "39.287765651924180"),
        ("3.126459879557898e-11", "0.00000000003126459879557898"),
        ("0.080", "0.08"),
    ],
)
def test_numbers_are_equal_if_they_are_the_same_float(before, after, tmp_path):
    assert SEVENTH.count(before) == 1
    assert compared(tmp_path, SEVENTH.replace(before, after)) == []


@pytest.mark.parametrize(
    ("before", "after", "told", "change"),
    [
        ("39.28776565192418", "39.28776565192419", "table_07, row 'qwen2 / Origin', column 'percent'", 7.1e-15),
        ("39.28776565192418", "-1", "table_07, row 'qwen2 / Origin', column 'percent'", -40.28776565192418),
        ("24.99,0.080", "24.99,", "table_07, row 'llama3 / Origin', column 'p': 0.080 -> empty", None),
        ("24.99,0.080", "24.99,nan", "table_07, row 'llama3 / Origin', column 'p': 0.080 -> nan", None),
        ("39.28776565192418,", "39.28776565192418,nan", "row 'qwen2 / Origin', column 'p': empty -> nan", None),
        ("24.99", "inf", "column 'percent': 24.99 -> inf", None),
        ("llama3,tiny", "llama3,007", "column 'label': tiny -> 007", None),
    ],
)
def test_a_cell_that_differs_is_named_with_its_change(before, after, told, change, tmp_path):
    (found,) = compared(tmp_path, SEVENTH.replace(before, after))
    assert told in str(found) and found.of_cell
    assert found.change == (change if change is None else pytest.approx(change, rel=0.01))


@pytest.mark.parametrize(("first", "second"), [("7", "007"), ("NaN", "nan"), ("NA", ""), ("1", "1_0"), ("True", "1")])
def test_texts_are_equal_only_if_they_are_the_same_text(first, second, tmp_path):
    tables = [{"table_07": SEVENTH.replace("tiny", label)} for label in (first, second)]
    folders = [folder(tmp_path / str(i), table, ["7"]) for i, table in enumerate(tables)]
    assert [(found.column, found.change) for found in differences(*folders)] == [("label", None)] * 3
    assert differences(folders[0], folders[0]) == []


def test_a_text_that_differs_is_named(tmp_path):
    (found,) = compared(tmp_path, claims=CLAIMS.replace("undecided", "shows"))
    assert str(found) == "claims, row 'It grows', column 'verdict': undecided -> shows"


LINES = SEVENTH.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([*LINES[:2], LINES[3]], ["table_07, row 'qwen2 / One-Stage' is missing"]),
        (
            LINES[:1],
            [f"table_07, row {row!r} is missing" for row in ("qwen2 / Origin", "qwen2 / One-Stage", "llama3 / Origin")],
        ),
        ([*LINES, "llama3,tiny,1,One-Stage,1,1\n"], ["table_07, row 'llama3 / One-Stage' is extra"]),
        ([*LINES, LINES[3]], ["table_07, row 'llama3 / Origin (2)' is extra"]),
        ([LINES[0], LINES[2], LINES[1], LINES[3]], ["table_07, row 'qwen2 / Origin' is in another order from here on"]),
    ],
)
def test_rows_that_differ_are_named(lines, told, tmp_path):
    assert [str(found) for found in compared(tmp_path, "".join(lines))] == told


def without(position):
    """The seventh table without a column."""
    rows = [line.strip().split(",") for line in LINES]
    return "".join(",".join(row[:position] + row[position + 1 :]) + "\n" for row in rows)


def test_columns_that_differ_are_named(tmp_path):
    more = "".join(f"{line.strip()},{'more' if i == 0 else i}\n" for i, line in enumerate(LINES))
    assert [str(found) for found in compared(tmp_path / "1", without(4))] == ["table_07, column 'percent' is missing"]
    assert [str(found) for found in compared(tmp_path / "2", more)] == ["table_07, column 'more' is extra"]
    swapped = "".join(",".join([*(c := line.strip().split(","))[:4], c[5], c[4]]) + "\n" for line in LINES)
    assert [str(found) for found in compared(tmp_path / "3", swapped)] == [
        "table_07, column 'percent' is in another order from here on"
    ]


def test_without_a_column_that_names_rows_the_others_are_still_compared(tmp_path):
    found = compared(tmp_path, without(3).replace("0.080", "0.081"))
    assert "table_07, column 'name' is missing" in map(str, found) and counted(found).startswith("1 cell differs;")


def test_tables_that_differ_are_named(tmp_path):
    expected = folder(tmp_path / "expected", {"table_07": SEVENTH, "claims": CLAIMS})
    found = folder(tmp_path / "found", {"table_02": CLAIMS, "claims": CLAIMS}, ["2", "claims", "7"])
    assert [str(each) for each in differences(expected, found)] == ["table_07 is missing", "table_02 is extra"]


def test_a_table_that_the_study_no_longer_shows_does_not_count(tmp_path):
    assert compared(tmp_path, table_03=SEVENTH) == []


def test_a_table_of_one_row_and_one_of_one_column_are_compared(tmp_path):
    assert [str(found) for found in compared(tmp_path / "1", claims="model\nqwen2\n")][:2] == [
        "claims, column 'claim' is missing",
        "claims, column 'verdict' is missing",
    ]
    one = folder(tmp_path / "one", {"table_05": "model,n\nqwen2,1\n"}, ["5"])
    two = folder(tmp_path / "two", {"table_05": "model,n\nqwen2,2\n"}, ["5"])
    assert [str(found) for found in differences(one, two)] == ["table_05, row 'qwen2', column 'n': 1 -> 2 (+1)"]


@pytest.mark.parametrize("text", ["", "model,n\nqwen2,1,2,3\nqwen2,1,2,3,4\n"])
def test_a_broken_table_is_an_error(text, tmp_path):
    one = folder(tmp_path / "one", {"table_05": "model,n\nqwen2,1\n"}, ["5"])
    two = folder(tmp_path / "two", {"table_05": text}, ["5"])
    with pytest.raises(InputError, match="table_05.csv: cannot be read"):
        differences(one, two)


def test_a_folder_without_a_finished_study_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"provenance\.json.*a finished study"):
        differences(tmp_path, tmp_path)


def many(tmp_path, count):
    """The differences of a table of which `count` cells grow by 1, 2, 3, ... and one label is another text."""
    names = range(count + 1)
    one = "".join(["model,n\n", *(f"m{i},{-i}\n" for i in names)])
    two = "".join(["model,n\n", *(f"m{i},{0 if i else 'x'}\n" for i in names)])
    return differences(*(folder(tmp_path / text[-3], {"table_05": text}, ["5"]) for text in (one, two)))


def test_a_few_differences_are_named_one_by_one(tmp_path):
    found = many(tmp_path, FEW - 1)
    assert described(found) == [str(each) for each in found] and len(found) == FEW
    assert counted(found) == "10 cells differ; the largest change of a number is +9 (table_05, row 'm9', column 'n')"


def test_many_differences_are_counted_with_the_largest_change(tmp_path):
    found = many(tmp_path, 1200)
    largest = "1,201 cells differ; the largest change of a number is +1200 (table_05, row 'm1200', column 'n')"
    assert counted(found) == largest and described(found) == [f"table_05: {largest}"]


def test_many_rows_are_counted_apart_from_cells(tmp_path):
    one = folder(tmp_path / "one", {"table_05": "model,n\n" + "".join(f"m{i},1\n" for i in range(30))}, ["5"])
    two = folder(tmp_path / "two", {"table_05": "model,n\nm0,1\n"}, ["5"])
    found = differences(one, two)
    assert counted(found) == "29 rows, columns or tables are missing, extra or in another order"
    assert described(found)[-1] == "and 19 more rows, columns or tables" and len(described(found)) == FEW + 1


def test_the_keys_in_which_configs_differ():
    before = {"a": 1, "b": {"c": [1], "d": {"e": None}}, "gone": {"x": 1}, "same": {"y": [1, 2]}}
    after = {"a": 2, "b": {"c": [1, 2], "d": {}}, "same": {"y": [1, 2]}, "new": 0}
    assert unlike(before, after) == ["a", "b.c", "b.d.e", "gone", "new"]
    assert unlike(before, before) == []


def test_causes_besides_the_machine(tmp_path):
    one = {"data_sha256": {"facts": "1"}, "base_models": {"small": {"model": "1"}}, "config": {"seeds": [0]}}
    other = {"data_sha256": {"facts": "2"}, "base_models": {"small": {"model": "2"}}, "config": {"seeds": [1]}}
    folders = [folder(tmp_path / str(i), {}, **told) for i, told in enumerate((one, other, one))]
    assert causes(folders[0], folders[1], SCHEMA) == [
        "not the same config: seeds",
        "not the same facts: facts",
        "not the same base models: small",
    ]
    assert causes(folders[0], folders[2], SCHEMA) == []


def test_facts_are_the_same_whatever_version_of_pyarrow_wrote_their_file(tmp_path):
    key = "results/tiny/seed0/facts.parquet"
    folders = [folder(tmp_path / str(i), {}, data_sha256={key: str(i)}) for i in range(3)]
    for number, (at, version) in enumerate(zip(folders, ("1.0", "2.6", "2.6"), strict=True)):
        (at / "seed0").mkdir()
        table = facts() if number < 2 else facts().assign(question="another")
        table.to_parquet(at / "seed0" / "facts.parquet", version=version)
    assert causes(folders[0], folders[1], SCHEMA) == []
    assert causes(folders[0], folders[2], SCHEMA) == [f"not the same facts: {key}"]


def test_a_key_that_came_later_counts_as_its_default(tmp_path):
    folders = [folder(tmp_path / str(i), {}, config=c) for i, c in enumerate(({}, {"later": 1}, {"later": 2}))]
    assert causes(folders[0], folders[1], SCHEMA) == []
    assert causes(folders[0], folders[2], SCHEMA) == ["not the same config: later"]
