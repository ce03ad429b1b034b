"""What is said of a study's tables beside the published ones, and when that is a failure."""

import json

import pytest

import verify_tables
from gradual.ground.errors import InputError


def write_study(folder, percent, learning_rate=0.1):
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "table_07.csv").write_text(f"name,percent\nOrigin,{percent}\n")
    config = {"tables": {"show": [7]}, "training": {"learning_rate": learning_rate}}
    (folder / "provenance.json").write_text(json.dumps({"config": config, "data_sha256": {}, "base_models": {}}))


@pytest.fixture
def results(tmp_path):
    """Results of the studies equal, other and mine; equal, other and never are published."""
    for study in ("equal", "other", "never"):
        write_study(tmp_path / "reference" / study, 39.5)
    write_study(tmp_path / "equal", 39.5)
    write_study(tmp_path / "other", 40, learning_rate=0.2)
    write_study(tmp_path / "mine", 41)
    return tmp_path


def said(results, capsys, *words):
    """The lines of the script, and whether it fails."""
    try:
        verify_tables.main(["--results", str(results), *words])
        failed = False
    except SystemExit as ended:
        failed = ended.code != 0
    return capsys.readouterr().out.splitlines(), failed


def test_equal_tables(results, capsys):
    assert said(results, capsys, "--study", "equal") == (["equal: equal to the published tables"], False)
    assert said(results, capsys, "--study", "equal", "--strict")[1] is False


def test_other_tables_are_told_with_what_differs_and_fail_only_if_that_is_asked_for(results, capsys):
    lines, failed = said(results, capsys, "--study", "other")
    assert lines == [
        "other: table_07, row 'Origin', column 'percent': 39.5 -> 40 (+0.5)",
        "other: not the same config: training.learning_rate",
        "other: not the published tables: 1 cell differs; the largest change of a number is +0.5"
        " (table_07, row 'Origin', column 'percent')",
    ]
    assert not failed and said(results, capsys, "--study", "other", "--strict") == (lines, True)


def test_a_study_of_which_no_tables_are_published(results, capsys):
    (line,), failed = said(results, capsys, "--study", "mine", "--strict")
    assert line.startswith("mine: no tables of this study are published") and not failed


def test_all_published_studies_are_told_of_also_those_without_results(results, capsys):
    lines, failed = said(results, capsys, "--strict")
    assert failed and "equal: equal to the published tables" in lines
    assert [line for line in lines if line.startswith("never")] == [
        f"never: not compared, because {results / 'never'} has no finished results"
    ]
    assert not any(line.startswith("mine") for line in lines)
    (results / "other" / "tables" / "table_07.csv").write_text("name,percent\nOrigin,39.5\n")
    assert said(results, capsys, "--strict")[1] is False


@pytest.mark.parametrize("words", [["--study", "never"], ["--strict"]])
def test_nothing_to_compare_is_an_error(words, results, capsys):
    for study in ("equal", "other"):
        (results / study / "provenance.json").unlink()
    with pytest.raises(InputError, match=r"no finished results to compare.*make tables"):
        said(results, capsys, *words)
