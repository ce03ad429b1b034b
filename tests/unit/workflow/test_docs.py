"""The pages: their links lead somewhere, their commands and configs are right, and what they say of the code is there."""

import re
import runpy
import shlex
from functools import cache
from itertools import dropwhile
from pathlib import Path

import pandas as pd
import pytest
import yaml

import describe_results
from gradual.ground.errors import InputError
from gradual.study.config import load_config
from gradual.study.result_files import KINDS
from gradual.workflow.starting import ERROR_KINDS
from page_width import fits, markdown_tables, width

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "schemas/config.schema.json"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "pretrained/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
SHOWN = re.compile(r"`[^`\n]+`")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE)) | {"BASE", "FACTS", "OUT"}
STUDIES = {"default", "mine", *(path.stem for path in (ROOT / "studies").glob("*.yaml"))}
RULES = {
    name for file in (ROOT / "rules").glob("*.smk") for name in re.findall(r"\brule (\w+):", file.read_text("utf-8"))
}
# Options of Snakemake that pages use.
SNAKEMAKE = {
    "--cores",
    "--configfile",
    "--profile",
    "--set-resources",
    "--set-threads",
    "--forcerun",
    "--until",
    "-n",
    "-s",
}


MEASURED = sorted(
    file.relative_to(ROOT).as_posix()
    for pattern in ("benchmarks/**/*.md", "reference/*/costs.md")
    for file in (ROOT / "results").glob(pattern)
)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[str]:
    """The code blocks of a page that are in one of the languages."""
    return [block for language, block in FENCE.findall(text(page)) if language in languages]


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {slug if i == 0 else f"{slug}-{i}" for slug, last in found.items() for i in range(last + 1)}


def test_the_readme_is_short_and_begins_with_the_command_and_the_figure():
    lines = text("README.md").splitlines()
    assert len(lines) <= 150
    first_screen = "\n".join(lines[:25])
    assert "\nmake tables " in first_screen
    figure = re.search(r"^!\[.+\]\((.+\.svg)\)$", first_screen, re.MULTILINE)
    assert figure
    height = re.search(r'<svg [^>]*height="([0-9]+)pt"', (ROOT / figure[1]).read_text(encoding="utf-8"))
    assert height and int(height[1]) <= 250  # points, of which a screen has some 700; the findings follow


@pytest.mark.parametrize("page", NAMES + MEASURED)
def test_every_table_fits_on_a_page(page):
    for table in markdown_tables(text(page)):
        assert fits(table), (table[0], width(table))


@pytest.mark.parametrize("page", NAMES)
def test_commands_that_need_the_environment_come_after_its_activation(page):
    shown = "\n".join(blocks(page, "sh"))
    needs = re.search(r"^(snakemake|python|pytest) ", shown, re.MULTILINE)
    assert not needs or ". .venv/bin/activate\n" in shown[: needs.start()]


@pytest.mark.parametrize("page", NAMES)
def test_links_to_files_and_headings_lead_there(page):
    here = (ROOT / page).parent
    lost = []
    for link in LINK.findall(SHOWN.sub("", FENCE.sub("", text(page)))):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def test_what_is_linked_is_in_the_repository():
    """Not only in this folder: a page of the site must not depend on a file that git ignores."""
    ignored = [line.strip("/") for line in text(".gitignore").splitlines() if line.startswith("/")]
    linked = {(ROOT / page).parent / link.partition("#")[0] for page in NAMES for link in LINK.findall(text(page))}
    inside = {path.resolve().relative_to(ROOT).as_posix() for path in linked if path.resolve().is_relative_to(ROOT)}
    assert not {path for path in inside if any(path.startswith(f"{name}/") for name in ignored)}


def test_every_page_is_in_the_contents_once():
    listed = [link for link in LINK.findall(text("docs/README.md")) if link.endswith(".md") and "/" not in link]
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert sorted(listed) == sorted(pages)


def test_the_site_has_every_page_that_its_pages_link_to():
    """Else `make docs`, which takes minutes, fails."""
    patterns = runpy.run_path(str(ROOT / "docs/conf.py"))["include_patterns"]
    of_site = {page.relative_to(ROOT) for pattern in patterns for page in ROOT.glob(pattern) if page.suffix == ".md"}
    for page in of_site:
        links = LINK.findall(SHOWN.sub("", FENCE.sub("", text(f"{page}"))))
        paths = [link.partition("#")[0] for link in links if not re.match(r"https?://", link)]
        pages = {
            (ROOT / page).parent.joinpath(path).resolve().relative_to(ROOT) for path in paths if path.endswith(".md")
        }
        assert pages <= of_site, page


def test_the_site_has_the_contents_as_its_navigation():
    site = runpy.run_path(str(ROOT / "docs/conf.py"))
    trees = site["navigation"](text("docs/README.md"))
    captions, pages = re.findall(r":caption: (.*)", trees), re.findall(r"^[\w./-]+$", trees, re.MULTILINE)
    assert captions == [*re.findall(r"^## (.*)$", text("docs/README.md"), re.MULTILINE), "Library"]
    assert {f"docs/{page.stem}" for page in (ROOT / "docs").glob("*.md")} - {"docs/README"} <= set(pages)
    assert all((ROOT / f"{page}.md").is_file() for page in pages if page != "docs/api/gradual/index")


def test_the_figure_of_the_workflow_has_at_most_ten_boxes():
    (drawn,) = blocks("README.md", "mermaid")
    ends = re.findall(r"^ +(\w+)(?:\[.*?\])? --(?: [\w ]+ --)?> (\w+)", drawn, re.MULTILINE)
    assert len(ends) == drawn.count("-->")  # no arrow is left out
    assert 5 <= len({box for arrow in ends for box in arrow}) <= 10


def commands(page: str) -> list[list[str]]:
    """The words of each command in a page's shell blocks, without comments."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    parts = [part for line in lines for part in re.split(r" && ", line)]
    found = [shlex.split(part, comments=True) for part in parts]
    named = [[*dropwhile(re.compile(r"[A-Z_]+=").match, words)] for words in found]  # NAME=value before a command
    return [words for words in named if words]


OTHERS = {
    "for",
    "done",
    "export",
    "cp",
    "cat",
    "ls",
    "echo",
    "git",
    "ruff",
    "snakefmt",
    "pip",
    "pre-commit",
    ".",
    "python",
    "uv",
    "podman",
}


@pytest.mark.parametrize("page", NAMES)
def test_commands_name_what_there_is(page):
    for first, *rest in commands(page):
        if first == "make":
            names = dict(word.split("=", 1) for word in rest if "=" in word)
            goals = [word for word in rest if "=" not in word]
            assert set(goals) <= TARGETS and goals, (first, rest)
            assert set(names) <= VARIABLES, (first, rest)
            assert names.get("STUDY", "default") in STUDIES, (first, rest)
            assert (ROOT / names.get("PROFILE", "profiles")).is_dir() and (
                ROOT / names.get("PROBE_LOCK", "envs")
            ).exists()
        elif first == "snakemake":
            options = {word.partition("=")[0] for word in rest if word.startswith("-")}
            assert options <= SNAKEMAKE, (first, rest)
            files = re.findall(r"studies/(\w+)\.yaml", " ".join(rest))
            assert set(files) <= STUDIES, (first, rest)
        else:
            assert first in OTHERS, (first, rest)


@pytest.mark.parametrize("page", NAMES)
def test_scripts_and_options_that_a_page_names_are_there(page):
    prose = re.sub(r"(?s)```python\n.*?```", "", text(page))  # CONTRIBUTING.md makes files of these
    for script, options in re.findall(r"(?:scripts|tests)/([\w/]+\.py)((?: --[\w-]+(?: [\w./]+)?)*)", prose):
        folder = next((name for name in ("scripts", "tests") if (ROOT / name / script).is_file()), None)
        assert folder, script
        known = (ROOT / folder / script).read_text(encoding="utf-8")
        assert all(f'"{option}"' in known for option in re.findall(r"--[\w-]+", options)), (script, options)


@pytest.mark.parametrize("page", NAMES)
def test_the_make_targets_in_the_text_are_there(page):
    named = re.findall(r"`make (?:-\S+ )*([a-z-]+)", text(page))
    assert set(named) <= TARGETS


def yaml_blocks() -> list[tuple[str, dict]]:
    return [(page, yaml.safe_load(block)) for page in NAMES for block in blocks(page, "yaml")]


@pytest.mark.parametrize(("page", "found"), yaml_blocks())
def test_configs_are_right(page, found):
    """A block is a part of a profile, or a study, or a part of one: a multi-stage one if it has stages, or the paper's."""
    if set(found) <= {"set-resources", "set-threads"}:
        assert {rule for section in found.values() for rule in section} <= RULES
        return
    study = {"study": "mine", "extends": "gradual_learning"} | found
    if "stages" in found:
        roles = yaml.safe_load(text("studies/multi_stage.yaml"))["tables"]["methods"]
        study |= {"extends": "multi_stage", "tables": {"show": ["stages"], "methods": dict.fromkeys(roles)}}
    assert load_config(study, ROOT / "config.yaml", SCHEMA)["study"] == "mine"


def test_a_config_with_a_key_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="unknown key"):
        test_configs_are_right("", {"probe": {"promts": 3}})
    with pytest.raises(AssertionError):
        test_configs_are_right("", {"set-resources": {"probe_fact": {"gpu": 1}}})


def test_the_run_that_the_tutorial_changes_is_written_so():
    (before,) = re.findall(r"^-(.*)$", *blocks("docs/tutorial.md", "diff"), re.MULTILINE)
    assert before in text("studies/gradual_learning.yaml").splitlines()


def test_numbers_of_the_findings_are_published():
    findings = text("README.md").split("Three findings:\n")[1].split("\n[docs/results.md]")[0]
    numbers = re.findall(r"[+-]?\d+\.\d+", findings)
    tables = [ROOT / f"results/reference/{study}/tables/claims.csv" for study in ("replicated", "smollm2")]
    claims = pd.concat([pd.read_csv(table).select_dtypes("float").stack() for table in tables])
    published = {format(value, form) for value in claims for form in (".2f", "+.2f")}
    assert len(numbers) >= 10
    assert [number for number in numbers if number not in published] == []


def test_the_columns_of_the_results_are_as_the_code_says():
    """`make lint` checks this as well."""
    describe_results.main(["--check"])


def test_every_kind_of_result_has_its_file_on_the_page():
    """The last parts of a path, as they stand below the folder of a seed, a model, a probe or a state."""
    page = text("docs/result_files.md")
    names = {kind: re.sub(r"\{(\w+)\}", r"<\1>", found.pattern) for kind, found in KINDS.items()}
    told = {kind: name.replace("groups-<probe>", "groups-<n>") for kind, name in names.items()}
    folders = ("seed<seed>/<model>/<state>/<questions>-probe-<probe>/", "seed<seed>/<model>/<state>/", "seed<seed>/")
    short = {kind: next((n.removeprefix(f) for f in folders if n.startswith(f)), n) for kind, n in told.items()}
    assert {kind: name for kind, name in short.items() if f"`{name}`" not in page} == {}


def test_a_page_whose_columns_are_old_is_refused(tmp_path):
    page = tmp_path / "result_files.md"
    page.write_text(text("docs/result_files.md").replace("| `fact_id` |", "| `id` |"))
    with pytest.raises(SystemExit, match="drifted"):
        describe_results.main(["--check", "--page", str(page)])
    describe_results.main(["--page", str(page)])
    assert page.read_text() == text("docs/result_files.md")


def test_python_on_the_pages_runs(monkeypatch, capsys):
    """What needs an export is run by the test of the export, and CONTRIBUTING.md has a test of its own."""
    monkeypatch.chdir(ROOT)
    pages = [page for page in sorted(ROOT.glob("docs/*.md")) if page.name != "take_away.md"]
    blocks = [
        code for page in pages for code in re.findall(r"(?s)```python\n(.*?)```", text(f"{page.relative_to(ROOT)}"))
    ]
    assert blocks
    for code in blocks:
        exec(code, {})
    assert "Stage 1 lifts test accuracy" in capsys.readouterr().out


TROUBLE = text("docs/troubleshooting.md")
SOURCES = [
    file
    for folder in ("scripts", "rules")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in (".py", ".smk")
]


def said() -> str:
    """The code, with adjacent texts joined, as a user would read them."""
    code = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES) + MAKEFILE
    return re.sub(r"\"\s*f?\"", "", code)


def symptoms() -> list[str]:
    first_cells = re.findall(r"^\| (.*?) \|", TROUBLE, re.MULTILINE)
    return [symptom for cell in first_cells for symptom in re.findall(r"`([^`]+)`", cell) if "…" not in symptom]


def test_the_contents_of_the_symptoms_are_its_sections():
    listed = re.findall(r"^- \[([^\]]+)\]\(#", TROUBLE, re.MULTILINE)
    assert listed == re.findall(r"^## (.+)$", TROUBLE, re.MULTILINE)


def test_the_symptoms_are_what_the_code_says():
    code = said()
    assert len(symptoms()) > 80
    assert [symptom for symptom in symptoms() if symptom not in code] == []


@pytest.mark.parametrize(
    "room", sorted(path.name for path in (ROOT / "scripts/gradual").iterdir() if (path / "__init__.py").exists())
)
def test_errors_of_every_room_have_a_place(room):
    files = [file for file in SOURCES if file.is_relative_to(ROOT / "scripts/gradual" / room)]
    code = re.sub(r"\"\s*f?\"", "", "\n".join(file.read_text(encoding="utf-8") for file in files))
    assert "InputError(" not in code or any(symptom in code for symptom in symptoms())


def test_every_remedy_has_a_place():
    assert [kind.remedy for kind in ERROR_KINDS if kind.remedy not in TROUBLE] == []
