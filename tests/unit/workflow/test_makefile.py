"""The commands that take STUDY: a text that is no study's name is refused, and nothing is removed or started."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NO_NAMES = ["", " ", ".", "..", "a b", "mine mine", "*", "%", "mine/", "../mine", "Mine", "mine.yaml", "$$HOME", "-rf"]
NO_NAMES += ["mine; touch new", "mine' ; touch new; '", 'mine" ; touch new; "', "mine\nmine", "`touch new`"]


@pytest.fixture
def project(tmp_path):
    """A folder with the Makefile, the study `mine`, and results."""
    for folder in ("studies", "results/mine", "results/old", "results/reference/mine", "results/benchmarks"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "studies/mine.yaml").write_text("")
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What make says, where the environment is set up and snakemake and python only tell of themselves."""
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "ready").touch()
    for name in ("snakemake", "python"):
        (tools / name).write_text('#!/bin/sh\necho "started $0" "$@"\n')
        (tools / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-o", ".venv/ready", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".venv" not in path.parts}


@pytest.mark.parametrize(
    "target",
    ["tables", "report", "changed", "plan", "preflight", "benchmark", "watch", "export", "publish", "clean"],
)
@pytest.mark.parametrize("name", [*NO_NAMES, "reference", "benchmarks"])
def test_what_is_no_study_is_refused_with_the_known_ones(target, name, project):
    before = files(project)
    done = make(project, target, f"STUDY={name}")
    assert done.returncode and "there is no such study; expected one of default mine" in done.stderr
    assert "started" not in done.stdout and files(project) == before


@pytest.mark.parametrize("name", ["mine", "old"])
def test_clean_removes_one_study_also_one_without_a_file(name, project):
    assert make(project, "clean", f"STUDY={name}").returncode == 0
    assert {f"results/{other}" for other in ("mine", "old", "reference", "benchmarks")} - files(project) == {
        f"results/{name}"
    }
    assert "results/reference/mine" in files(project)


@pytest.mark.parametrize(
    ("words", "started"),
    [((), "snakemake --cores all"), (("STUDY=mine",), "snakemake --cores all --configfile studies/mine.yaml")],
)
def test_a_study_is_started_by_its_name(words, started, project):
    assert started in " ".join(make(project, "tables", *words).stdout.replace("/.venv/bin/", " ").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tables",), "verify_tables.py --study default"),
        (("tables", "STUDY=mine"), "verify_tables.py --study mine"),
        (("verify",), "verify_tables.py --strict"),
    ],
)
def test_tables_end_with_their_verification_and_verify_is_strict(words, said, project):
    for study in ("default", "mine"):
        (project / "results" / study).mkdir(exist_ok=True)
        (project / "results" / study / "tables.md").write_text("the tables\n")
    done = make(project, *words)
    assert done.returncode == 0 and done.stdout.splitlines()[-1].endswith(f"python scripts/{said}")


def test_make_without_a_target_prints_its_help_which_names_every_target(project):
    text = (project / "Makefile").read_text()
    head = text.partition("\n\n")[0].replace("# ", "").replace("#", "")
    assert make(project).stdout.strip() == make(project, "help").stdout.strip() == head.strip()
    phony = re.search(r"\.PHONY: (.*?)\n\n", text, re.DOTALL)[1].replace("\\", "").split()
    assert {name for name in phony if f"make {name}" not in head} == {"study"}


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), ""),
        (("TO=a folder", "LICENCE=cc0-1.0", "UPLOAD=me/mine"), " --to a folder --licence cc0-1.0 --upload-to me/mine"),
    ],
)
def test_an_export_is_uploaded_only_where_it_is_asked_for(words, options, project):
    said = make(project, "export", "STUDY=mine", *words).stdout
    assert said.strip().endswith(f"scripts/export_study.py --results results/mine{options}")


def test_a_user_gets_no_tools_of_developers_and_a_developer_does(project):
    for folder in ("envs", ".venv/bin"):
        (project / folder).mkdir(parents=True, exist_ok=True)
    for name in ("controller", "train", "torch", "develop"):
        (project / f"envs/{name}.lock").touch()
    plan = {name: make(project, "-n", "-W", "envs/develop.lock", name).stdout for name in ("tables", "test")}
    assert "develop.lock" not in plan["tables"] and "--no-deps --requirement=envs/develop.lock" in plan["test"]


PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit 0
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "$PIP_EXTRA_INDEX_URL" "$@"\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


@pytest.mark.parametrize("by", ["environment", "variable"])
def test_pip_takes_another_index_from_the_environment_or_from_make(by, project):
    """As the README says, so that a machine without a GPU gets the CPU build of PyTorch."""
    (project / "python").write_text(PYTHON)
    (project / "python").chmod(0o755)
    for name in ("controller", "train", "torch"):
        (project / "envs").mkdir(exist_ok=True)
        (project / f"envs/{name}.lock").touch()
    given = {"PIP_EXTRA_INDEX_URL": "https://index/cpu"}
    words = ["make", "setup", f"PYTHON={project}/python"]
    words += [f"{name}={value}" for name, value in given.items()] if by == "variable" else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_EXTRA"))}
    environment |= given if by == "environment" else {}
    done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "\nhttps://index/cpu install --quiet --requirement=envs/torch.lock" in f"\n{done.stdout}"


def test_the_site_is_built_in_its_own_environment_and_a_warning_is_an_error(project):
    folder = project / ".venv-docs" / "bin"
    folder.mkdir(parents=True)
    (project / "envs").mkdir()
    (project / "envs/docs.lock").touch()
    (folder.parent / "ready").touch()
    (folder / "sphinx-build").write_text('#!/bin/sh\necho "$@"\n')
    (folder / "sphinx-build").chmod(0o755)
    done = make(project, "-o", ".venv-docs/ready", "docs")
    assert done.returncode == 0 and " -W " in done.stdout and "docs/_build/html/index.html" in done.stdout
