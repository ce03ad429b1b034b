"""A dry run in words."""

from gradual.workflow.rerun_reasons import Job, causes, differences, explain, jobs

DRY_RUN = """\
rule probe_facts:
    input: a
    output: b
    jobid: 3
    reason: Params have changed since last execution: Union of exclusive params before and now across all output: \
before: ['--sampling', '{"temperature": 0.5, "top_k": 40}'] now: ['--sampling', '{"temperature": 0.7, "top_k": 40}']
    wildcards: seed=0, state=origin
    resources: tmpdir=/tmp
rule grade_generations:
    input: b
    output: c
    reason: Input files updated by another job: b
    wildcards: seed=0, state=origin
localrule write_table:
    output: d
    reason: Missing output files: d; Input files updated by another job: c
    wildcards: table=claims
localrule all:
    input: d
    reason: Input files updated by another job: d
"""


def test_jobs_are_read_with_wildcards_and_reason_and_without_the_target():
    assert [(job.rule, job.wildcards) for job in jobs(DRY_RUN)] == [
        ("probe_facts", "seed=0, state=origin"),
        ("grade_generations", "seed=0, state=origin"),
        ("write_table", "table=claims"),
    ]


def test_a_setting_that_changed_is_named_with_both_values_and_the_others_are_not():
    assert causes(jobs(DRY_RUN)[0]) == ["temperature: 0.5 -> 0.7"]


def test_what_only_follows_has_no_cause_of_its_own():
    assert [causes(job) for job in jobs(DRY_RUN)[1:]] == [[], []]


def test_code_is_told_from_settings():
    reason = "Params have changed since last execution: Union: before: '0123456789abcdef' now: 'fedcba9876543210'"
    assert causes(Job("train", "", reason)) == ["its code changed"]


def test_other_reasons_in_words():
    assert causes(Job("a", "", "Missing output files: x")) == ["not made yet"]
    assert causes(Job("a", "", "Updated input files: data/x.json")) == ["other contents of data/x.json"]
    assert causes(Job("a", "", "Code has changed since last execution")) == ["the rule's command changed"]
    assert causes(Job("a", "", "Forced execution")) == ["Forced execution"]


def test_differences_go_into_mappings_and_lists():
    before, now = {"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"b": 1, "c": 3}, "d": [1, 4]}
    assert differences(before, now) == ["a.c: 2 -> 3", "d: 2 -> 4"]
    assert differences([0], [0, 1]) == ["[0] -> [0, 1]"]
    assert differences({"a": 1}, {}) == ["a: 1 -> None"]


def test_the_whole_says_how_much_why_and_what_follows():
    text = explain(DRY_RUN)
    assert text.startswith("3 jobs would run.")
    assert "probe_facts (seed=0, state=origin): temperature: 0.5 -> 0.7" in text
    assert text.endswith("grade_generations (1), write_table (1)\n")


def test_nothing_to_do_is_said():
    assert explain("Nothing to be done.\n").startswith("Nothing would run")
