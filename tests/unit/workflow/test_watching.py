"""What a study is doing, from logs as Snakemake and the jobs write them."""

import os
from datetime import datetime

import pytest

import watch_study
from gradual.workflow.watching import Job, duration, last_run, picture, progress, read_run

HEAD = "Building DAG of jobs...\nJob stats:\njob count\n"
NOW = datetime(2026, 11, 26, 15, 20, 0)


def started(number, rule="probe_facts", name="m-seed0-origin-train-0-0", local=""):
    return f"""[Thu Nov 26 15:08:0{number} 2026]
{local}rule {rule}:
    input: results/mine/seed0/facts.parquet
    output: results/mine/seed0/m/{number}
    log: results/mine/logs/{rule}/{name}.log
    jobid: {number}
    reason: Missing output files
"""


def finished(number, done):
    return f"[Thu Nov 26 15:09:00 2026]\nFinished jobid: {number} (Rule: x)\n{done} of 9 steps ({done * 11}%) done\n"


FAILED = """[Thu Nov 26 15:09:00 2026]
Error in rule train_adapter:
    message: None
    jobid: 2
    log: results/mine/logs/train_adapter/m-seed0-stage1.log (check log file(s) for error details)
"""
OVER = "Complete log(s): /somewhere/x.snakemake.log\n"


def test_jobs_that_started_and_did_not_end_are_at_work():
    text = (
        HEAD + started(1) + started(2, "train_adapter", "m-seed0-stage1") + started(3, local="local") + finished(3, 1)
    )
    run = read_run(text)
    assert (run.done, run.of, run.over) == (1, 9, False)
    one, two = run.jobs
    log = "results/mine/logs/probe_facts/m-seed0-origin-train-0-0.log"
    assert one == Job("probe_facts", log, datetime(2026, 11, 26, 15, 8, 1))
    assert two.rule == "train_adapter"
    assert [job.rule for job in read_run(text + FAILED).jobs] == ["probe_facts"]
    assert [job.rule for job in read_run(text + FAILED + started(2, "train_adapter")).jobs] == [
        "probe_facts",
        "train_adapter",
    ]


def test_a_run_that_is_over_has_no_jobs():
    run = read_run(HEAD + started(1) + OVER)
    assert run.over and run.jobs == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("11:15:53 358 of 2788 facts, 21.5 facts/s, 113 s left", ("358 of 2,788 facts (13%)", "2 min")),
        ("11:15:53 358 of 2788 facts", ("358 of 2,788 facts (13%)", "")),
        ("11:17:18 step 61 of 150, loss 0.136, 6 steps/s", ("61 of 150 steps (41%)", "15 s")),
        ("11:17:18 step 6 of 15, loss 0.136, 0.0312 steps/s", ("6 of 15 steps (40%)", "5 min")),
        ("11:15:53 9 of 99 facts\nwarning: x\n11:16:10 50 of 99 facts, 1e+01 facts/s", ("50 of 99 facts (51%)", "5 s")),
        ("warning: nothing of the kind", ("", "")),
    ],
)  # fmt: skip
def test_the_last_line_that_tells_it_says_how_far_a_job_is(said, told, tmp_path):
    log = tmp_path / "job.log"
    log.write_text(f"{'x' * 30_000}\n{said}\n")
    assert progress(log) == told


def test_a_job_without_a_log_waits(tmp_path):
    assert progress(tmp_path / "none.log") == ("waits", "")


@pytest.mark.parametrize(("seconds", "told"), [(5, "5 s"), (99, "99 s"), (300, "5 min"), (7200, "2.0 h")])
def test_durations(seconds, told):
    assert duration(seconds) == told


@pytest.fixture
def project(tmp_path):
    """A project with the logs of a run of the study `mine`, of a later dry run of it, and of another study."""
    logs = tmp_path / ".snakemake/log"
    logs.mkdir(parents=True)
    run = HEAD + started(1) + started(2, "train_adapter", "m-seed0-stage1") + finished(4, 1)
    (logs / "2026-11-26T150757.1.snakemake.log").write_text(run)
    dry = HEAD + started(1) + "This was a dry-run (flag -n).\n"
    (logs / "2026-11-26T150857.1.snakemake.log").write_text(dry)
    (logs / "2026-11-26T150957.1.snakemake.log").write_text((HEAD + started(1)).replace("/mine/", "/other/"))
    job = tmp_path / "results/mine/logs/probe_facts/m-seed0-origin-train-0-0.log"
    job.parent.mkdir(parents=True)
    job.write_text("11:15:53 358 of 2788 facts, 21.5 facts/s\n")
    return tmp_path


def test_the_picture_shows_each_job_of_the_studys_last_run(project):
    run = last_run("results/mine", project)
    shown = picture("mine", run, project, NOW).splitlines()
    assert shown[0] == "mine: 1 of 9 jobs done, 2 started"
    assert shown[3].split() == "probe_facts m-seed0-origin-train-0-0 12 min 358 of 2,788 facts (13%) 2 min".split()
    assert shown[4].split() == "train_adapter m-seed0-stage1 12 min waits".split()


def test_a_job_that_says_nothing_any_longer_is_shown_as_silent(project):
    log = project / "results/mine/logs/probe_facts/m-seed0-origin-train-0-0.log"
    os.utime(log, (0, 0))
    shown = picture("mine", last_run("results/mine", project), project, NOW)
    assert "(13%), silent for" in shown
    for said in (
        "11:15:53 step 3 of 20, loss 0.1, 0 steps/s\n",
        "",
    ):  # before there is a rate, and before the first word
        log.write_text(said)
        os.utime(log, (0, 0))
        assert "silent for" in picture("mine", last_run("results/mine", project), project, NOW)


def test_the_script_shows_one_picture(project, capsys):
    watch_study.main(["--study", "mine", "--once", "--root", str(project)])
    assert "mine: 1 of 9 jobs done" in capsys.readouterr().out
    watch_study.main(["--study", "nothing", "--root", str(project)])  # it ends, because there is nothing to wait for
    assert "no run of Snakemake" in capsys.readouterr().out


def test_the_script_ends_with_the_run(project, capsys, monkeypatch):
    log = project / ".snakemake/log/2026-11-26T150757.1.snakemake.log"
    monkeypatch.setattr("time.sleep", lambda _: log.write_text(log.read_text() + OVER))
    watch_study.main(["--study", "mine", "--root", str(project)])
    assert "the run is over" in capsys.readouterr().out
