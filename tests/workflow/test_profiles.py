"""The profiles: where and how jobs run."""

import re
from pathlib import Path

import yaml

from project_copy import snakemake_in

GPUS = {"probe_facts": 1, "check_probe": 1, "evaluate_epochs": 1, "train_adapter": 4}
ELSEWHERE = {"sample_answers"}  # rules with a GPU that the tiny study has no job of


def profile(folder: Path, name: str) -> dict[str, object]:
    return yaml.safe_load((folder / f"profiles/{name}/profile.yaml").read_text())


def test_the_clusters_profile_holds_all_that_the_default_one_does(project):
    assert profile(project, "default").items() <= profile(project, "slurm").items()


def test_on_a_cluster_each_gpu_rule_has_gpus_threads_memory_and_time_whatever_the_host_has(project):
    told = snakemake_in(project)("-n", "--profile", "profiles/slurm", "--configfile", "tests/workflow/tiny.yaml")
    assert told.returncode == 0, told.stdout[-3000:]
    threads = profile(project, "slurm")["set-threads"]
    found = {}
    for rule, fields in re.findall(r"^rule (\w+):\n((?:    .*\n)+)", told.stdout, re.MULTILINE):
        if rule in GPUS:
            resources = dict(re.findall(r"(\w+)=([^,\s]+)", re.search(r"resources: (.*)", fields)[1]))
            assert int(resources["gpu"]) == GPUS[rule]
            assert "tasks" not in resources  # the job would run once per GPU
            assert int(resources["mem_mb"]) >= 32_000
            assert int(resources["runtime"]) >= 120
            found[rule] = int(re.search(r"threads: (\d+)", fields)[1])
    assert found == {rule: count for rule, count in threads.items() if rule not in ELSEWHERE}
    assert set(threads) >= ELSEWHERE and set(profile(project, "slurm")["set-resources"]) >= ELSEWHERE


def test_a_training_asks_slurm_for_a_warning_before_its_time_is_up(project):
    settings = profile(project, "slurm")["set-resources"]["train_adapter"]
    assert settings["slurm_extra"] == "'--signal=TERM@300'"
