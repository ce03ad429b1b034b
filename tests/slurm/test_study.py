"""The tiny study's two stages on a real SLURM, by the cluster's profile: what its jobs were given, and the same tables."""

import re
import shutil
from itertools import combinations
from pathlib import Path

import pytest

import runs
from cluster import GPUS, Job, wait_for
from project_copy import copy_project

# The rules whose jobs need a model's environment, with the GPUs that a job asks for.
JOB_RULES = {"pretrain_base": 0, "check_answers": 0, "probe_facts": 1, "check_probe": 1, "evaluate_epochs": 1}
JOB_RULES |= {"train_adapter": GPUS}


@pytest.fixture(scope="module")
def on_cluster(cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Job], str]:
    """A copy of the project in which the study has run on the cluster, its jobs, and Snakemake's output."""
    folder = tmp_path_factory.mktemp("on_cluster")
    copy_project(folder / "project")
    with runs.watched(cluster) as jobs:
        run = runs.start(folder / "project", folder / "log", *runs.ON_CLUSTER, cluster=cluster)
        said = runs.finish(run, folder / "log")
    return folder / "project", [jobs[number] for number in sorted(jobs)], said


def test_the_tables_are_those_of_a_run_without_a_cluster_byte_for_byte(on_cluster, local):
    folder, _, _ = on_cluster
    expected = runs.tables(local)
    assert len(expected) == 19
    assert runs.tables(folder) == expected


def test_every_rule_with_a_model_runs_as_jobs_and_every_other_rule_on_the_host_that_submits(on_cluster):
    _, jobs, said = on_cluster
    assert {job.rule for job in jobs} == set(JOB_RULES)
    started = re.findall(r"^rule (\w+):", said, re.MULTILINE)
    assert set(started) == set(JOB_RULES)
    assert len(started) == len(jobs)
    assert "build_facts" in re.findall(r"^localrule (\w+):", said, re.MULTILINE)


def test_each_job_is_given_the_gpus_that_it_asks_for_and_training_four(on_cluster):
    _, jobs, _ = on_cluster
    assert {job.state for job in jobs} == {"COMPLETED"}
    for job in jobs:
        assert job.asked == JOB_RULES[job.rule]
        assert len(job.gpus) == job.asked, job
    training = [job for job in jobs if job.rule == "train_adapter"]
    assert [job.gpus for job in training] == [(0, 1, 2, 3)] * 2


def test_jobs_at_work_at_once_have_different_gpus_and_a_probes_shards_are(on_cluster):
    _, jobs, _ = on_cluster
    together = [(a, b) for a, b in combinations(jobs, 2) if a.at_work_with(b)]
    for a, b in together:
        assert not set(a.gpus) & set(b.gpus), (a, b)
    assert [(a, b) for a, b in together if a.rule == b.rule == "probe_facts"]


def test_every_job_measures_itself(on_cluster):
    folder, jobs, _ = on_cluster
    measured = list((folder / runs.RESULTS / "benchmarks").rglob("*.tsv"))
    assert len([file for file in measured if file.parent.name in JOB_RULES]) == len(jobs)


def test_two_probes_wait_for_a_training_on_four_gpus_and_then_run_side_by_side(on_cluster, cluster, tmp_path):
    finished, _, _ = on_cluster
    folder = copy_project(tmp_path / "project")
    for part in ("results", ".snakemake/metadata"):
        shutil.copytree(finished / part, folder / part)
    adapters = f"{runs.MODEL}/stage1/epochs/epochs.json"
    answers = [f"{runs.MODEL}/origin/train-probe-1/generations-{shard}.parquet" for shard in (0, 1)]
    for target in (adapters, *answers):
        (folder / target).unlink()
    with runs.watched(cluster) as jobs:
        cluster.drain()  # until all three are in the queue, and the training comes first
        run = runs.start(folder, tmp_path / "log", *runs.ON_CLUSTER, "--", adapters, *answers, cluster=cluster)
        wait_for(lambda: len(jobs) == 3, "three jobs in the queue")
        [training] = [job.number for job in jobs.values() if job.rule == "train_adapter"]
        cluster.call("scontrol", "top", str(training))
        cluster.resume()
        runs.finish(run, tmp_path / "log")
    [training] = [job for job in jobs.values() if job.rule == "train_adapter"]
    one, other = (job for job in jobs.values() if job.rule == "probe_facts")
    assert training.gpus == (0, 1, 2, 3)
    for probe in (one, other):
        assert probe.asked == 1
        assert probe.submitted <= training.started < training.ended <= probe.started
    assert one.at_work_with(other)
    assert len(set(one.gpus) | set(other.gpus)) == 2
