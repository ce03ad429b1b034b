"""Where jobs run: their interpreters, with and without conda, their threads, and a machine's GPUs without a scheduler."""

import json
import re
from pathlib import Path

import pytest

from gradual.study.steps import MODEL_RULES
from gradual.workflow.gpus import VISIBLE
from project_copy import CONDA, copy_project, snakemake_in, stand_in

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--configfile", "tests/workflow/tiny.yaml")
COMMAND = re.compile(r"^Shell command: (\S+) scripts/(\w+)\.py", re.MULTILINE)
WITH_A_MODEL = {"pretrain_base", "check_answers", "probe_facts", "check_probe", "train_adapter", "evaluate_epochs"}
JOBS = """
include: "Snakefile"


rule few:
    output:
        "results/few-{n}.json",
    resources:
        gpu=1,
    shell:
        "from=$(date +%s.%N); sleep 2; echo [{resources.gpu}, $from, $(date +%s.%N)] > {output}"


rule many:
    output:
        "results/many.json",
    resources:
        gpu=4,
    shell:
        "echo [{resources.gpu}] > {output}"


rule threaded:
    output:
        "results/threads.json",
    threads: 1
    shell:
        "python count_threads.py > {output}"
"""
COUNT_THREADS = """
import json, os
import pyarrow, torch
from tokenizers import Tokenizer, models

before = len(os.listdir("/proc/self/task"))
Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).encode_batch(["a"] * 1000)
tokenizers = len(os.listdir("/proc/self/task")) - before
print(json.dumps({"torch": torch.get_num_threads(), "pyarrow": pyarrow.cpu_count(), "tokenizers": tokenizers}))
"""


@pytest.fixture
def folder(tmp_path):
    """A copy of the project, with rules beside its own whose jobs ask for GPUs."""
    folder = copy_project(tmp_path / "project")
    (folder / "jobs.smk").write_text(JOBS)
    return folder


def interpreters(folder: Path, *words: str) -> dict[str, set[str]]:
    """By interpreter, the scripts that a dry run would start with it."""
    done = snakemake_in(folder)("-n", "-p", "--cores", "2", *words)
    assert done.returncode == 0, done.stdout[-3000:]
    found: dict[str, set[str]] = {}
    for interpreter, script in COMMAND.findall(done.stdout):
        found.setdefault(interpreter, set()).add(script)
    return found


def test_jobs_with_a_model_run_in_the_interpreter_that_a_profile_names_and_light_jobs_in_the_active_one(folder):
    named = [f"{rule}:python=/some/{rule}/python" for rule in sorted(WITH_A_MODEL)]
    found = interpreters(folder, "--set-resources", *named, *TINY)
    light = found.pop("python")
    assert found == {f"/some/{rule}/python": {rule} for rule in WITH_A_MODEL}
    assert {"build_facts", "grade_generations", "write_table"} <= light and not light & WITH_A_MODEL


def test_without_a_word_of_it_all_jobs_run_in_the_active_interpreter(folder):
    assert interpreters(folder, *TINY).keys() == {"python"}


def test_vllm_has_an_interpreter_of_its_own_unless_conda_gives_it_one(folder, tmp_path, monkeypatch):
    (folder / "vllm.yaml").write_text("probe: {engine: vllm}\n")
    found = interpreters(folder, *TINY, "vllm.yaml")
    assert found.pop(".venv-probe/bin/python") == {"probe_facts", "evaluate_epochs"}
    assert found.keys() == {"python"}
    monkeypatch.setenv("PATH", stand_in(tmp_path / "bin", "conda", CONDA))
    assert interpreters(folder, "--sdm", "conda", *TINY, "vllm.yaml").keys() == {"python"}


def test_no_library_takes_more_threads_than_the_job_has(folder):
    (folder / "count_threads.py").write_text(COUNT_THREADS)
    done = snakemake_in(folder)("-s", "jobs.smk", "--cores", "4", *TINY, "--", "results/threads.json")
    assert done.returncode == 0, done.stdout[-3000:]
    assert set(json.loads((folder / "results/threads.json").read_text()).values()) == {1}


def test_jobs_side_by_side_ask_for_no_more_gpus_than_the_machine_has(folder, tmp_path, monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setenv("PATH", stand_in(tmp_path / "bin", "nvidia-smi", "#!/bin/sh\necho 0; echo 1\n"))
    files = [f"results/few-{n}.json" for n in range(3)] + ["results/many.json"]
    done = snakemake_in(folder)("-s", "jobs.smk", "--cores", "8", *files, *TINY)
    assert done.returncode == 0, done.stdout[-3000:]
    few = sorted([json.loads((folder / file).read_text()) for file in files[:3]], key=lambda times: times[1])
    (_, begun, first_end), (_, second_begun, second_end), (_, third_begun, _) = few
    assert second_begun < first_end
    assert third_begun >= min(first_end, second_end)
    assert [gpus for gpus, *_ in few] == [1, 1, 1]
    assert json.loads((folder / files[3]).read_text()) == [2]  # it asks for four


@pytest.mark.parametrize(
    ("visible", "words", "asked"),
    [
        ("0,1", (), 2),
        ("0,1,2,3,4,5", (), 4),
        ("0,1", ("--resources", "gpu=3"), 3),
        ("", (), 4),  # the job will say that there are none
        ("0", ("--executor", "slurm", "--jobs", "9"), 4),  # of the host that submits, not of those that compute
    ],
)
def test_what_limits_a_jobs_gpus_is_this_machine_or_the_user_but_never_on_a_cluster(
    folder, monkeypatch, visible, words, asked
):
    monkeypatch.setenv(VISIBLE, visible)
    done = snakemake_in(folder)("-n", "-s", "jobs.smk", "results/many.json", *words, *TINY)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"gpu={asked}" in done.stdout.partition("rule many:")[2].partition("\n\n")[0]


def test_no_job_that_needs_a_model_s_environment_runs_on_the_host_that_submits():
    """That host may have the controller's environment only."""
    rules = "\n".join(file.read_text() for file in sorted((ROOT / "rules").glob("*.smk")))
    blocks = dict(re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", rules, re.MULTILINE))
    assert set(blocks) >= set(MODEL_RULES) >= WITH_A_MODEL
    assert [name for name in MODEL_RULES if "localrule: True" in blocks[name]] == []
