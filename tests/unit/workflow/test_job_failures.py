"""What is said at the end of a run of the jobs that failed, from made-up logs of Snakemake."""

from pathlib import Path

from gradual.workflow.job_failures import explain

STARTED = """[Sat Nov 21 12:30:27 2026]
rule {rule}:
    output: results/s/{rule}.out
    log: {log}
    jobid: 3
    reason: Missing output files: results/s/{rule}.out
    resources: tmpdir=/tmp
"""
FINISHED = """[Sat Nov 21 12:30:28 2026]
Finished jobid: 3 (Rule: build_facts)
1 of 133 steps (1%) done
"""


def failed(rule: str, log: Path | None = None) -> str:
    """How Snakemake tells of a failed job; of one whose rule has no log where that is None."""
    logged = [f"    log: {log} (check log file(s) for error details)"] if log else []
    lines = [
        "[Sat Nov 21 12:30:28 2026]",
        f"Error in rule {rule}:",
        "    message: None",
        "    jobid: 7",
        f"    output: results/s/{rule}.out",
        *logged,
        "    shell:",
        f"        python scripts/{rule}.py --output results/s/{rule}.out",
        "        (command exited with non-zero exit code)",
    ]
    return "\n".join(lines) + "\n"


def written(path: Path, *texts: str) -> str:
    path.write_text("".join(texts), encoding="utf-8")
    return str(path)


def job_log(folder: Path, name: str, *lines: str) -> Path:
    path = folder / f"{name}.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def told(folder: Path, *texts: str) -> list[str]:
    """The lines of the explanation of one Snakemake log, without the last one, which says how to go on."""
    *lines, last = explain([written(folder / "snakemake.log", *texts)]).splitlines()
    assert "Start again" in last
    return lines


def test_a_failure_is_told_with_its_log_cause_and_remedy(tmp_path):
    traceback = ("12:30:27 loading", "Traceback (most recent call last):", '  File "x.py", line 1', "OSError: full")
    log = job_log(tmp_path, "train", *traceback, "error: OSError: full", "remedy: free disk space and run again")
    assert told(tmp_path, STARTED.format(rule="train_adapter", log=log), failed("train_adapter", log)) == [
        f"train_adapter failed; its log is {log}",
        "  error: OSError: full",
        "  remedy: free disk space and run again",
    ]


def test_a_cause_of_several_lines_is_told_whole(tmp_path):
    cause = ("error: mine: 2 problems:", "  key 'probe.shots': -1; expected an integer", "  key 'x': unknown key")
    log = job_log(tmp_path, "facts", "12:30 reading", *cause, "/usr/lib/python: a warning at the end")
    assert told(tmp_path, failed("build_facts", log))[1:] == [f"  {line}" for line in cause]


def test_of_a_log_without_such_lines_the_last_is_told(tmp_path):
    log = job_log(tmp_path, "probe", "first", "an error: in the midst of a line", "Segmentation fault", "")
    assert told(tmp_path, failed("probe_facts", log)) == [
        f"probe_facts failed; its log is {log}",
        "  Segmentation fault",
    ]


def test_a_log_that_is_missing_or_empty_is_named_all_the_same(tmp_path):
    absent, empty = tmp_path / "absent.log", job_log(tmp_path, "empty")
    assert told(tmp_path, failed("build_facts", absent), failed("build_corpus", empty)) == [
        f"build_facts failed; its log is {absent}",
        f"build_corpus failed; its log is {empty}",
    ]


def test_a_failed_rule_without_a_log_does_not_take_that_of_the_next(tmp_path):
    log = job_log(tmp_path, "grade", "error: no such column")
    started = STARTED.format(rule="build_facts", log=job_log(tmp_path, "facts", "error: of another rule"))
    texts = (failed("write_table"), started, FINISHED, failed("write_table"), failed("grade_epochs", log))
    assert told(tmp_path, *texts) == [f"grade_epochs failed; its log is {log}", "  error: no such column"]


def test_where_nothing_failed_nothing_is_said(tmp_path):
    log = job_log(tmp_path, "facts", "error: told by a job that went well")
    done = written(tmp_path / "snakemake.log", STARTED.format(rule="build_facts", log=log), FINISHED)
    assert explain([done]) == explain([]) == ""
    assert explain([written(tmp_path / "without.log", failed("write_table"))]) == ""


def test_the_same_failure_is_told_once_and_others_in_their_order(tmp_path):
    first, second = (job_log(tmp_path, name, f"error: of {name}") for name in ("first", "second"))
    logs = [
        written(tmp_path / "one.log", failed("probe_facts", second), failed("probe_facts", first)),
        written(tmp_path / "two.log", failed("probe_facts", second)),
    ]
    *lines, _ = explain(logs).splitlines()
    assert lines == [
        f"probe_facts failed; its log is {second}",
        "  error: of second",
        f"probe_facts failed; its log is {first}",
        "  error: of first",
    ]
