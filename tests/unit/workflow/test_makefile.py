"""The commands that take STUDY: a text that is no study's name is refused, and nothing is removed or started."""

import os
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
    "target", ["tables", "report", "changed", "plan", "preflight", "benchmark", "publish", "clean"]
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
