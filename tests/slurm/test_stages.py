"""A part of the tiny study of answers that change on a real SLURM, by the cluster's profile: each rule with a model."""

import pandas as pd
import pytest

import runs
from cluster import GPUS
from project_copy import copy_project

MODEL = "results/stages/seed0/small"
# The states that the rules make: sampled, augmented and asked; a scaled adapter; a sum of adapters.
TARGETS = ("theirs2/groups-0/grades.parquet", "f_learning2_forget/change.json", "mocl2/composition/composed.json")
# The rules that are jobs of the cluster, with the GPUs of each.
JOB_RULES = {"pretrain_base": 0, "check_answers": 0, "scale_adapter": 0, "train_adapter": GPUS}
JOB_RULES |= dict.fromkeys(("sample_answers", "augment_questions", "ask_groups", "compose_adapters"), 1)


@pytest.fixture(scope="module")
def on_cluster(cluster, tmp_path_factory):
    """A copy of the project in which these targets were made, and the jobs that made them."""
    folder = tmp_path_factory.mktemp("stages_on_cluster")
    project = copy_project(folder / "project")
    words = ("--configfile", "tests/workflow/stages.yaml", "--", *(f"{MODEL}/{target}" for target in TARGETS))
    with runs.watched(cluster) as jobs:
        run = runs.start(project, folder / "log", *runs.PROFILE, *words, cluster=cluster)
        runs.finish(run, folder / "log")
    return project, [jobs[number] for number in sorted(jobs)]


def test_each_rule_with_a_model_is_a_job_with_its_gpus(on_cluster):
    _, jobs = on_cluster
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.rule for job in jobs} == set(JOB_RULES)
    for job in jobs:
        assert job.asked == len(job.gpus) == JOB_RULES[job.rule], job


def test_what_the_jobs_made_is_whole(on_cluster):
    project, _ = on_cluster
    grades = pd.read_parquet(project / MODEL / "theirs2/groups-0/grades.parquet")
    revisions = pd.read_parquet(project / "results/stages/seed0/revisions.parquet")
    assert len(grades) == 2 * len(revisions)  # in two wordings
    assert all((project / MODEL / target).is_file() for target in TARGETS)
