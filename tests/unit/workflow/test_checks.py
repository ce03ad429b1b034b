"""`make lint`, the hooks before a commit and the continuous integration do the same checks, each stated once."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


def test_the_hooks_run_what_make_lint_runs():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.search(r"^lint: develop\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1].split("\n\t")
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == [command.strip() for command in commands]
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in repository["hooks"])


def test_the_continuous_integration_runs_the_projects_own_check_and_the_default_study_on_each_python():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    workflow = yaml.load(text, Loader=yaml.BaseLoader)  # else `on` is true
    assert set(workflow["on"]) == {"push", "pull_request"}
    assert workflow["permissions"] == {"contents": "read"}
    check, study = workflow["jobs"]["check"], workflow["jobs"]["default-study"]
    assert {*workflow["jobs"]} == {"check", "docs", "container", "default-study"}
    built, run = (step["run"] for step in workflow["jobs"]["container"]["steps"] if "run" in step)
    assert built in (ROOT / "docs/install.md").read_text(encoding="utf-8")
    assert run.endswith(" gradual-learning make tables verify STUDY=elements")
    assert {"run": "make docs"} in workflow["jobs"]["docs"]["steps"]
    assert [step["run"] for step in check["steps"] if "run" in step] == ["bash .ci/run"]
    assert [step["run"] for step in study["steps"] if "run" in step] == ["make tables verify"]
    assert all(0 < int(job["timeout-minutes"]) <= 360 for job in (check, study))
    (python,) = [step["with"]["python-version"] for step in check["steps"] if "setup-python" in step.get("uses", "")]
    assert python == "3.11"
    assert study["strategy"]["matrix"]["python-version"] == ["3.11", "3.12", "3.13"]
