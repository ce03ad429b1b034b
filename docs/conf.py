"""The site of the documentation (`make docs`): all Markdown pages of the repository, and the library from its docstrings.

The source folder is the repository, so that links between pages are the same here and on GitHub. The start page is the
README. The navigation is the list of pages in docs/README.md.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs", "results", "pretrained")  # folders with pages
PUBLISHED = ("reference", "benchmarks")  # folders of results/ that the repository keeps

project = "Gradual Learning, reproduced"
author = "The gradual-learning developers"
extensions = ["myst_parser", "autoapi.extension", "sphinxcontrib.mermaid"]
root_doc = "README"
include_patterns = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/api/**", "pretrained/README.md"),
    *("results/reference/*/tables.md", "results/benchmarks/*.md", "results/benchmarks/*/*.md"),
]
# Sphinx walks through all folders that it is not told to leave out.
exclude_patterns = [
    *(folder.name for folder in ROOT.iterdir() if folder.is_dir() and folder.name not in PAGES),
    *(f"results/{folder.name}" for folder in (ROOT / "results").iterdir() if folder.name not in PUBLISHED),
    "docs/_build",
]
# Pages of tables, which other pages link to; and constants that several names are assigned to in one line.
suppress_warnings = ["toc.not_included", "myst.header", "autoapi.python_import_resolution"]

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math", "mermaid"]
myst_heading_anchors = 4

autoapi_dirs = [str(ROOT / "scripts" / "gradual")]
autoapi_root = "docs/api"
autoapi_options = ["members", "undoc-members", "show-inheritance", "show-module-summary"]
autoapi_member_order = "bysource"
autoapi_add_toctree_entry = False
default_role = "code"  # of text between single backticks in docstrings

html_theme = "furo"
html_title = project
html_show_sphinx = False


def navigation(contents: str) -> str:
    """The tables of contents, from the sections and links of docs/README.md."""
    trees = []
    for section in contents.split("\n## ")[1:]:
        caption, _, links = section.partition("\n")
        pages = [(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\(([^)#]+)\.md\)", links)]
        trees.append((caption, [page.relative_to(ROOT).as_posix() for page in pages]))
    trees.append(("Library", ["docs/api/gradual/index"]))
    return "".join(
        "\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in trees
    )


def add_navigation(app: Any, page: str, text: list[str]) -> None:
    """Put the navigation at the end of the start page."""
    if page == root_doc:
        text[0] += navigation((ROOT / "docs" / "README.md").read_text(encoding="utf-8"))


def add_index(app: Any, error: Exception | None) -> None:
    """Write index.html, which leads to the start page."""
    if error is None:
        start = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html"><title>{project}</title>'
        (Path(app.outdir) / "index.html").write_text(start, encoding="utf-8")


def setup(app: Any) -> None:
    """Connect the two steps above."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", add_index)
