"""The page: whole in one file, with every table, every note once, and small enough."""

import html
import math
import re

import pandas as pd
import pytest

import write_report
from gradual.report import page
from gradual.report.page import Grid, Table, from_markdown, inline, sentences, verdicts, with_legend
from gradual.tables import markdown, registry
from gradual.tables.table_csv import read_table
from report_folder import REFERENCE, copied

TABLES = sorted(file.stem for file in (REFERENCE / "default" / "tables").glob("*.csv"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of the published default study, with the figures that are published."""
    folder = copied("default", tmp_path_factory.mktemp("report"))
    figures = sorted(file.stem for file in (folder / "figures").glob("*.svg"))
    write_report.main(["--results", str(folder), "--figures", *figures])
    return (folder / "report.html").read_text(encoding="utf-8")


def test_it_needs_nothing_but_itself(whole):
    assert "<script" not in whole and "@import" not in whole and '<link rel="stylesheet' not in whole
    assets = re.findall(r'(?:\bsrc|\bhref|xlink:href)="([^"]*)"', whole)
    assert assets and all(asset.startswith(("#", "data:")) for asset in assets)
    assert not re.findall(r"url\((?!#)", whole)
    assert len(whole.encode()) < 2_000_000


def test_every_table_is_there_with_its_cells_and_all_columns_of_its_csv(whole):
    for name in TABLES:
        frame, spec = read_table(REFERENCE / "default" / "tables" / f"{name}.csv"), registry.TABLES[name]
        part = whole.partition(f'<details id="table-{name}">')[2].partition("</details></details>")[0]
        shown, _, columns = part.partition("<summary>All columns</summary>")
        models = [rows for _, rows in frame.groupby("model", sort=False)]
        rows = [
            (column, row)
            for of in models
            for p in spec.parts
            for _, row in p.rows(of).iterrows()
            for column in p.columns
        ]
        assert re.findall(r"<td[^>]*>(.*?)</td>", shown) == [str(inline(column.cell(row))) for column, row in rows]
        assert columns.count("<tr>") == 1 + len(frame) and columns.count("<th ") == len(frame.columns)


def test_every_sentence_of_a_note_is_there_once(whole):
    notes = {}
    for name in TABLES:
        frame = read_table(REFERENCE / "default" / "tables" / f"{name}.csv")
        notes[name] = sentences(markdown.note(registry.TABLES[name], frame))
    tables = whole.partition('<h2 id="tables">')[2]  # below what is said of all
    for said in {said for found in notes.values() for said in found}:
        assert len(re.findall(rf"[> ]{re.escape(str(inline(said)))}[ <]", tables)) == 1, said


def test_it_tells_the_verdicts_and_what_the_report_in_markdown_tells_first(whole):
    claims = read_table(REFERENCE / "default" / "tables" / "claims.csv")
    for label, rows in claims.groupby("label"):
        alone = rows[(rows["verdict"] == "shows") & rows["verdict_against_control"].isin(["shows", math.nan])]
        assert f"The paper's claims, {label}:" in html.unescape(whole) and f"<b>{len(alone)}</b> claims show<" in whole
    assert "<h1>Report of the study default</h1>" in whole and "Seeds: 0." in whole


def test_a_claim_shows_only_if_it_shows_beyond_its_control():
    ends = [("shows", "shows"), ("shows", math.nan), ("shows", "undecided"), ("shows", "does not show")]
    ends += [("undecided", "shows"), ("does not show", math.nan)]
    table = pd.DataFrame(ends, columns=["verdict", "verdict_against_control"]).assign(label="m")
    found = [(2, "claims show"), (2, "show, but not beyond their control"), (1, "is undecided"), (1, "does not show")]
    assert verdicts([table[:5], table[5:]]) == [("m", found)]


def test_a_file_of_costs_without_a_row_has_no_table():
    assert from_markdown("costs", "All.\n\nA note.\n") == Table("costs", "costs", "All.", [], ["A note."])


def test_notes_that_tables_share_go_into_the_legend_with_the_tables_that_have_them():
    empty = Grid([], [], [])
    tables = [
        Table(name, name, "", [("", empty)], notes)
        for name, notes in (("a", ["X.", "Y."]), ("b", ["X.", "Z."]), ("c", ["X.", "Z."]))
    ]
    legend, rest = with_legend(tables)
    assert legend == [([], ["X."]), (["b", "c"], ["Z."])]
    assert [table.notes for table in rest] == [["Y."], [], []]


def test_markdown_becomes_html_without_markup_of_its_own():
    assert (
        inline("a < b & `x*y*z` **bold** *slanted*") == "a &lt; b &amp; <code>x*y*z</code> <b>bold</b> <em>slanted</em>"
    )
    table = from_markdown("costs", "Costs: all.\n\n| A | B |\n|---|--:|\n| x \\| y | 1 |\n\nA note.\n")
    assert table == Table(
        "costs", "costs", "Costs: all.", [("", Grid(["A", "B"], [False, True], [["x | y", "1"]]))], ["A note."]
    )
    two = from_markdown("costs", "All.\n\nModel X:\n\n| A |\n|---|\n| 1 |\n\nModel Y:\n\n| A |\n|---|\n| 2 |\n\nEnd.\n")
    assert [(heading, grid.rows) for heading, grid in two.grids] == [("Model X", [["1"]]), ("Model Y", [["2"]])]
    assert two.caption == "All." and two.notes == ["End."]


def test_the_numbers_of_the_tables_are_read_as_they_were_written():
    """Else the page would show other cells than the published Markdown."""
    for file in sorted(REFERENCE.glob("*/tables/*.csv")):
        assert registry.render(file.stem, read_table(file)) == file.with_suffix(".md").read_text(encoding="utf-8"), file


def test_a_published_study_draws_its_figures_from_its_folder(tmp_path):
    folder = copied("wikiqa", tmp_path)
    for file in (folder / "figures").glob("*.svg"):
        file.unlink()
    write_report.main(["--results", str(folder)])
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert '<figure id="accuracy">' in text and '<figure id="claims">' not in text
    assert text.count("<svg ") == len(list((folder / "figures").glob("*.svg"))) >= 4
    assert page.TEMPLATE.name in page.RESOURCES
