"""Publishing a study: what is copied to the reference folder, what is removed from it, and the blocks of the pages."""

import json
import re
import shutil
from pathlib import Path

import pytest

import publish_results
from gradual.ground.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
WHOLE = ("tables.md", "provenance.json", "costs.csv", "costs.md")  # of a study, besides its tables
FIGURES = ("chance.csv", "chance.svg")
PAGE = """# Title

<!-- small: table_07 -->
| an old table |
<!-- end -->

Between.

<!-- other: table_07 -->
of another study
<!-- end -->

<!-- small: claims -->
<!-- end -->

The end.
"""


def study(root: Path, shows: list[int | str], made: list[str]) -> Path:
    """The results of a study, small, that shows some tables and has made some, maybe others."""
    results = root / "results" / "small"
    (results / "tables").mkdir(parents=True)
    for name in WHOLE:
        (results / name).write_text(f"new {name}\n")
    made_from = {"commit": "0" * 40, "changed": False}
    (results / "provenance.json").write_text(json.dumps({"config": {"tables": {"show": shows}}, "git": made_from}))
    (results / "figures").mkdir()
    for name in (*FIGURES, "no_longer_on_the_page.svg"):
        (results / "figures" / name).write_text(f"new {name}\n")
    (results / "report.html").write_text('<figure id="chance"></figure>')
    for name in made:
        (results / "tables" / f"{name}.csv").write_text(f"new,{name}\n")
        (results / "tables" / f"{name}.md").write_text(f"| new {name} |\n\nIts note.\n")
    return results


def published(root: Path, results: Path, page: str = PAGE) -> Path:
    """The reference folder after publishing, which had a stale table and an old one."""
    reference = root / "reference" / "small"
    (reference / "tables").mkdir(parents=True)
    (reference / "figures").mkdir()
    (reference / "figures" / "old.svg").write_text("old\n")
    for name in ("table_03.md", "table_03.csv", "table_07.md"):
        (reference / "tables" / name).write_text("old\n")
    (root / "page.md").write_text(page)
    folders = ["--results", str(results), "--reference", str(reference)]
    publish_results.main([*folders, "--pages", str(root / "page.md")])
    return reference


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_tables_that_the_study_shows_are_copied_and_no_others(tmp_path):
    results = study(tmp_path, [7, "claims"], ["table_03", "table_07", "table_10", "claims"])
    reference = published(tmp_path, results)
    # Of tables that it no longer shows, the reference keeps none and gets none.
    assert names(reference / "tables") == {"table_07.csv", "table_07.md", "claims.csv", "claims.md"}
    assert names(reference / "figures") == {*FIGURES}  # and not the page, which is made from what is published
    assert names(reference) == {*WHOLE, "tables", "figures"}
    published_ = (f"{folder}/{name}" for folder in ("tables", "figures") for name in names(reference / folder))
    for path in [*WHOLE, *published_]:
        assert (reference / path).read_bytes() == (results / path).read_bytes(), path
    assert (results / "tables" / "table_03.md").exists()  # the results themselves stay as they are


def test_nothing_needs_to_have_been_published_before(tmp_path):
    results = study(tmp_path, [7], ["table_07"])
    (tmp_path / "page.md").write_text("")
    folders = ["--results", str(results), "--reference", str(tmp_path / "new" / "small")]
    publish_results.main([*folders, "--pages", str(tmp_path / "page.md")])
    assert names(tmp_path / "new" / "small" / "tables") == {"table_07.csv", "table_07.md"}


def test_the_blocks_of_a_page_are_filled_with_the_tables_of_their_study(tmp_path):
    published(tmp_path, study(tmp_path, [7, "claims"], ["table_07", "claims"]))
    filled = (tmp_path / "page.md").read_text()
    seventh, claims = ("| new table_07 |\n\nIts note.\n", "| new claims |\n\nIts note.\n")
    assert filled == PAGE.replace("| an old table |\n", seventh).replace("claims -->\n", f"claims -->\n{claims}")


def test_several_pages_are_filled_and_one_without_blocks_stays(tmp_path):
    results = study(tmp_path, [7, "claims"], ["table_07", "claims"])
    pages = [tmp_path / name for name in ("first.md", "plain.md", "second.md")]
    for page, text in zip(pages, (PAGE, "no blocks\n", PAGE), strict=True):
        page.write_text(text)
    folders = ["--results", str(results), "--reference", str(tmp_path / "reference" / "small")]
    publish_results.main([*folders, "--pages", *map(str, pages)])
    first, plain, second = (page.read_text() for page in pages)
    assert first == second != PAGE and plain == "no blocks\n"


def test_publishing_twice_changes_nothing(tmp_path):
    results = study(tmp_path, [7, "claims"], ["table_07", "claims"])
    published(tmp_path, results)
    filled = (tmp_path / "page.md").read_text()
    folders = ["--results", str(results), "--reference", str(tmp_path / "reference" / "small")]
    publish_results.main([*folders, "--pages", str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text() == filled


def test_a_block_whose_table_the_study_lacks_is_an_error(tmp_path):
    # It has been made once, but the study no longer shows it.
    results = study(tmp_path, [7], ["table_07", "claims"])
    with pytest.raises(InputError, match=r"small: claims.*no such table.*table_07"):
        published(tmp_path, results)
    assert (tmp_path / "page.md").read_text() == PAGE


@pytest.mark.parametrize("missing", [*WHOLE, "report.html", "figures/chance.svg"])
def test_a_study_that_is_not_finished_is_an_error(tmp_path, missing):
    results = study(tmp_path, [7, "claims"], ["table_07", "claims"])
    (results / missing).unlink()
    with pytest.raises(InputError, match=rf"{missing}.*is missing.*a finished study"):
        published(tmp_path, results)
    assert "table_03.md" in names(tmp_path / "reference" / "small" / "tables")  # nothing was touched


@pytest.mark.parametrize("made_from", [{}, {"commit": "0" * 40, "changed": True}])
def test_results_that_no_commit_makes_again_are_an_error(tmp_path, made_from):
    results = study(tmp_path, [7], ["table_07"])
    provenance = json.loads((results / "provenance.json").read_text()) | {"git": made_from}
    (results / "provenance.json").write_text(json.dumps(provenance))
    with pytest.raises(InputError, match=r"provenance\.json.*no commit has"):
        published(tmp_path, results)
    assert "table_03.md" in names(tmp_path / "reference" / "small" / "tables")  # nothing was touched


def test_the_markdown_is_rendered_again_from_the_numbers_and_nothing_else_is_touched(tmp_path):
    folder = shutil.copytree(ROOT / "results/reference/wikiqa", tmp_path / "wikiqa")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    for file in [folder / "tables.md", *(folder / "tables").glob("*.md")]:
        file.write_text(file.read_text().replace("| ", "! "))
    page = tmp_path / "page.md"
    page.write_text("<!-- wikiqa: head -->\nold\n<!-- end -->\n<!-- wikiqa: table_02 -->\n<!-- end -->\n")
    publish_results.main(["--render", "--reference", str(folder), "--pages", str(page)])
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    head, table = re.findall(r"<!-- wikiqa: \w+ -->\n(.*?)\n<!-- end", page.read_text(), re.DOTALL)
    assert head.startswith("Models: tiny Qwen2 (") and "No gold answer of 6 of 125 dev" in head and "| " not in head
    assert table == (folder / "tables/table_02.md").read_text().strip()


def test_a_long_note_that_stands_above_is_not_said_again():
    note = " ".join(["A long note."] * 30)
    tables = {"table_07": f"| 1 |\n\n{note}\n\nShort.\n", "claims": f"| 2 |\n\n{note}\n\nShort.\n"}
    page = publish_results.with_tables(PAGE, "small", tables)
    first, _, last = (shown for _, _, shown in publish_results.BLOCK.findall(page))
    assert first == tables["table_07"]
    assert last == "| 2 |\n\nThe note is that of Table 7 of small, above.\n\nShort.\n"
    assert publish_results.with_tables(page, "small", tables) == page
