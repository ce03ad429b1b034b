"""The profiles: where and how jobs run."""

import re
from pathlib import Path

import yaml

from project_copy import snakemake_in

ONE = "probe_facts check_probe evaluate_epochs sample_answers augment_questions ask_groups compose_adapters".split()
GPUS = dict.fromkeys(ONE, 1) | {"train_adapter": 4}
STUDIES = ("tiny", "stages")  # which have jobs of all these rules


def profile(folder: Path, name: str) -> dict[str, object]:
    return yaml.safe_load((folder / f"profiles/{name}/profile.yaml").read_text())


def test_the_clusters_profile_holds_all_that_the_default_one_does(project):
    assert profile(project, "default").items() <= profile(project, "slurm").items()


def test_on_a_cluster_each_gpu_rule_has_gpus_threads_memory_and_time_whatever_the_host_has(project):
    told = ""
    for study in STUDIES:
        words = ("-n", "--profile", "profiles/slurm", "--configfile", f"tests/workflow/{study}.yaml")
        done = snakemake_in(project)(*words)
        assert done.returncode == 0, done.stdout[-3000:]
        told += done.stdout
    found = {}
    for rule, fields in re.findall(r"^rule (\w+):\n((?:    .*\n)+)", told, re.MULTILINE):
        if rule in GPUS:
            resources = dict(re.findall(r"(\w+)=([^,\s]+)", re.search(r"resources: (.*)", fields)[1]))
            assert int(resources["gpu"]) == GPUS[rule]
            assert "tasks" not in resources  # the job would run once per GPU
            assert int(resources["mem_mb"]) >= 32_000
            assert int(resources["runtime"]) >= 120
            found[rule] = int(re.search(r"threads: (\d+)", fields)[1])
    assert found == profile(project, "slurm")["set-threads"]


def test_a_training_asks_slurm_for_a_warning_before_its_time_is_up(project):
    settings = profile(project, "slurm")["set-resources"]["train_adapter"]
    assert settings["slurm_extra"] == "'--signal=TERM@300'"
