"""What a change re-runs: exactly what depends on it. Dry runs on a finished tiny study."""

import ast
import os
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from project_copy import CONDA, copy_project, snakemake_in, stand_in

TINY = "tests/workflow/tiny.yaml"
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)
PAGE = {"draw_figure", "write_report"}
TOLD = {"write_table", "collect_tables", "write_costs", "write_provenance", *PAGE}  # what tells of results


def planned(folder: Path, *words: str, config: str = "", cores: str = "2") -> list[tuple[str, str]]:
    """The jobs of a dry run: rule and description. `config` is laid over the tiny study."""
    files = [TINY]
    if config:
        (folder / "change.yaml").write_text(config)
        files.append("change.yaml")
    done = snakemake_in(folder)("-n", "--cores", cores, *words, "--configfile", *files)
    assert done.returncode == 0, done.stdout[-3000:]
    return [(rule, text) for rule, text in JOB.findall(done.stdout) if rule != "all"]


def rules(jobs: list[tuple[str, str]]) -> set[str]:
    return {rule for rule, _ in jobs}


def wildcard(jobs: list[tuple[str, str]], name: str) -> set[str]:
    """The values of a wildcard among the jobs that compute something (not those that tell of results)."""
    return {value for rule, text in jobs if rule not in TOLD for value in re.findall(rf"\b{name}=(\w+)", text)}


def tables(jobs: list[tuple[str, str]]) -> set[str]:
    """The tables that are made."""
    return {value for rule, text in jobs if rule == "write_table" for value in re.findall(r"table=(\w+)", text)}


def figures(jobs: list[tuple[str, str]]) -> set[str]:
    """The figures that are drawn."""
    return {value for rule, text in jobs if rule == "draw_figure" for value in re.findall(r"figure=(\w+)", text)}


@contextmanager
def edited(file: Path, text: str) -> Iterator[None]:
    before = file.read_text()
    assert before != text
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)


def remarked(source: str) -> str:
    """The source with a comment at its head and other docstrings."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        said = (
            isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
        )
        if said and first.lineno == first.end_lineno and lines[first.lineno - 1].endswith('"""'):
            lines[first.lineno - 1] = lines[first.lineno - 1][:-3] + ' Said otherwise."""'
    return "\n".join(["# A remark.", *lines, ""])


def test_touching_everything_runs_nothing(finished):
    files = [f for f in finished.rglob("*") if f.is_file() and ".snakemake" not in f.parts]
    times = {file: file.stat().st_mtime_ns for file in files}
    random.Random(0).shuffle(files)
    try:
        for i, file in enumerate(files):
            os.utime(file, (2e9 + i, 2e9 + i))
        assert planned(finished) == []
    finally:
        for file, time in times.items():
            os.utime(file, ns=(time, time))


@pytest.mark.parametrize("suffix", [".csv", ".md", ".json", ".html"])
def test_each_published_file_that_was_deleted_is_made_again(finished, suffix):
    """Each kind by itself, because a job makes several, and another of its files does not stand for the deleted one."""
    study = finished / "results/tiny"
    names = {file.stem for file in (study / "tables").glob(f"*{suffix}")}
    files = [*study.glob(f"*{suffix}"), *(study / "tables").glob(f"*{suffix}")]
    kept = {file: (file.read_bytes(), file.stat()) for file in files}
    for file in files:
        file.unlink()
    try:
        jobs = planned(finished)
    finally:
        for file, (content, status) in kept.items():
            file.write_bytes(content)
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    made = {"costs.csv": "write_costs", "costs.md": "write_costs", "tables.md": "collect_tables"}
    made |= {"provenance.json": "write_provenance", "report.html": "write_report"}
    assert rules(jobs) >= {made[file.name] for file in files if file.parent == study} | (
        {"write_table"} if names else set()
    )
    assert tables(jobs) == names and files


def test_a_deleted_figure_is_drawn_again_and_an_edited_one_alone(finished):
    drawn = finished / "results/tiny/figures/chance.svg"
    content, status = drawn.read_bytes(), drawn.stat()
    drawn.unlink()
    try:
        jobs = planned(finished)
    finally:
        drawn.write_bytes(content)
        os.utime(drawn, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert rules(jobs) == PAGE and figures(jobs) == {"chance"}
    module = finished / "scripts/gradual/report/figures/epochs.py"
    with edited(module, module.read_text() + "\nEDITED = 1\n"):
        jobs = planned(finished)
    assert rules(jobs) == PAGE and figures(jobs) == {"epochs"}


def test_comments_and_docstrings_of_all_code_run_nothing(finished):
    sources = {f: f.read_text() for f in (finished / "scripts").rglob("*.py")}
    try:
        for file, text in sources.items():
            file.write_text(remarked(text))
        assert planned(finished) == []
    finally:
        for file, text in sources.items():
            file.write_text(text)


def test_grading_logic_runs_grading_and_what_follows_and_no_probe_of_the_origin(finished):
    module = finished / "scripts/gradual/knowledge/scoring.py"
    with edited(module, module.read_text().replace("and gold in output", "and output.count(gold) > 0")):
        jobs = planned(finished)
    assert {"grade_generations", "grade_epochs", "categorize_facts", "select_facts"} <= rules(jobs)
    assert not rules(jobs) & {"build_facts", "build_corpus", "pretrain_base"}
    # Below the grades, all may come out otherwise: trained states are made again where their selection does.
    assert "origin" not in {
        s for r, t in jobs if r in ("probe_facts", "evaluate_epochs") for s in wildcard([(r, t)], "state")
    }


def test_the_logic_of_a_table_runs_the_tables_that_use_it_and_nothing_before_them(finished):
    module = finished / "scripts/gradual/knowledge/entity_graph.py"
    with edited(module, module.read_text().replace("(1 + len(known))", "(1.0 + len(known))")):
        jobs = planned(finished)
    assert rules(jobs) == TOLD
    assert tables(jobs) == {"table_05", "claims"}


def test_what_the_study_does_not_use_or_no_result_depends_on_runs_nothing(finished):
    with ExitStack() as edits:
        for module in ("probe/engines/vllm.py", "workflow/gpus.py", "study/steps.py", "planning/report.py"):
            file = finished / "scripts/gradual" / module
            edits.enter_context(edited(file, file.read_text() + "\nEDITED = 1\n"))
        assert rules(planned(finished)) <= {"write_provenance", *PAGE}  # which holds what works_of tells


@pytest.mark.parametrize(
    ("module", "of_itself", "not_"),
    [
        ("models/adapters.py", {"probe_facts", "evaluate_epochs", "train_adapter"}, {"pretrain_base", "build_corpus"}),
        ("probe/prompts.py", {"probe_facts", "evaluate_epochs", "train_adapter"}, {"pretrain_base", "build_facts"}),
        ("training/cross_entropy.py", {"train_adapter"}, {"pretrain_base", "check_probe"}),
    ],
)
def test_an_edit_of_a_module_runs_what_reaches_it(finished, module, of_itself, not_):
    file = finished / "scripts/gradual" / module
    with edited(file, file.read_text() + "\nEDITED = 1\n"):
        jobs = planned(finished)
    assert of_itself <= rules(jobs) and not rules(jobs) & not_


def test_what_an_error_says_runs_nothing(finished):
    file = finished / "scripts/gradual/knowledge/selection.py"
    with edited(file, file.read_text().replace("no fact is selected by", "not one fact is selected by")):
        assert planned(finished) == []


def test_the_learning_rate_of_stage_2_runs_what_is_below_it(finished):
    second = (
        "runs: {strategy5: {from: stage1, select: {stage1: [HighlyKnown, MaybeKnown], origin: [HighlyKnown, MaybeKnown, "
        "WeaklyKnown]}, replay: {category: WeaklyKnown & Unknown, ratio: 0.2}, adapter: merge, learning_rate: 1.0e-4}}"
    )
    jobs = planned(finished, config=second)
    assert {"train_adapter", "evaluate_epochs", "probe_facts"} <= rules(jobs)
    assert wildcard(jobs, "state") == {"strategy5", "round3"}


def test_a_new_strategy_runs_its_own_jobs_and_the_tables_that_tell_of_it(finished):
    new = (
        "runs: {mine: {from: stage1, select: {origin: [MaybeKnown]}}}\n"
        "tables: {strategies: [train_on, strategy5, mine]}"
    )
    jobs = planned(finished, config=new)
    assert wildcard(jobs, "state") == {"mine"}
    assert tables(jobs) == {"table_08", "table_09", "claims"}


def test_a_run_that_no_table_tells_of_runs_nothing_but_is_written_down(finished):
    jobs = planned(finished, config="runs: {mine: {from: stage1, select: {origin: [MaybeKnown]}}}")
    assert rules(jobs) == {"write_provenance", *PAGE} and figures(jobs) == {"time"}  # they hold the config, or read it


def test_a_new_seed_runs_its_own_jobs_and_the_tables(finished):
    jobs = planned(finished, config="seeds: [0, 1]")
    assert wildcard(jobs, "seed") == {"1"}
    assert {"build_facts", "pretrain_base", "probe_facts"} <= rules(jobs)


def test_sampling_settings_run_no_greedy_probe(finished):
    jobs = planned(finished, config="probe: {temperature: 0.7}")
    probes = [text for rule, text in jobs if rule == "probe_facts" and "probe=0" in text and "state=origin" in text]
    assert probes
    assert not [text for rule, text in jobs if rule == "probe_facts" and "probe=1" in text]


def test_another_scoring_rule_runs_no_probe_of_the_origin_and_settled_counts_run_it_anew(finished):
    probes = {"probe_facts", "evaluate_epochs"}
    jobs = planned(finished, config="scoring: exact")
    assert "origin" not in wildcard([(r, t) for r, t in jobs if r in probes], "state")
    settled = "probe: {counts: settled}\ntables: {show: [2, 3, 4, 7]}"
    jobs = planned(finished, config=settled)
    assert {"origin"} <= wildcard([(r, t) for r, t in jobs if r == "probe_facts"], "state")
    assert "origin" not in wildcard([(r, t) for r, t in jobs if r == "evaluate_epochs"], "state")
    assert not rules(jobs) & {"build_facts", "build_corpus", "pretrain_base"}


def test_which_answers_count_runs_what_judges_and_what_asks_and_nothing_before_it(finished):
    kept = "{reader: world, carve: {test: 0.3, dev: 0.07, support: 0.15}, single_answer: [train]}"
    jobs = planned(finished, config=f"answers: any\ndataset: {kept}")
    assert {"check_answers", "probe_facts", "check_probe", "grade_generations", "grade_epochs"} <= rules(jobs)
    assert "estimate_chance" in rules(jobs) and not rules(jobs) & {"build_facts", "build_corpus", "pretrain_base"}


def test_the_limits_of_an_answer_run_all_that_asks(finished):
    """The counts of possible answers run too, and must hide no other cause."""
    jobs = planned(finished, config="probe: {max_new_tokens: 17}")
    asked = [(rule, text) for rule, text in jobs if "state=origin" in text]
    assert {"check_answers", "probe_facts", "evaluate_epochs", "check_probe"} <= rules(jobs)
    assert {"probe_facts", "evaluate_epochs"} <= rules(asked) and not rules(jobs) & {"build_facts", "pretrain_base"}


def test_the_share_of_impossible_answers_runs_only_the_report(finished):
    jobs = planned(finished, config="probe: {unanswerable: 0.5}")
    assert rules(jobs) == TOLD - {"write_table"}


@pytest.mark.parametrize(
    ("cores", "words"),
    [
        ("1", ("--resources", "gpu=4")),
        ("7", ("--resources", "gpu=1", "mem_mb=4000")),
        (
            "64",
            ("--set-resources", "probe_facts:python=/some/python", "train_adapter:gpu=4", "train_adapter:trackers=x"),
        ),
    ],
)
def test_where_and_on_what_a_study_runs_does_not_matter(finished, cores, words):
    assert planned(finished, *words, cores=cores) == []


def test_with_conda_or_without_does_not_matter(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", stand_in(tmp_path / "bin", "conda", CONDA))
    assert planned(finished, "--sdm", "conda") == []


def test_another_profile_runs_nothing(finished):
    shutil.copytree(finished / "profiles/default", finished / "profiles/other", dirs_exist_ok=True)
    with (finished / "profiles/other/profile.yaml").open("a") as profile:
        profile.write("\nretries: 3\nlatency-wait: 30\nscheduler: greedy\n")
    assert planned(finished, "--workflow-profile", "profiles/other") == []


def test_a_fresh_clone_beside_copied_results_runs_nothing(finished, tmp_path):
    folder = copy_project(tmp_path / "clone")
    shutil.copytree(finished / "results", folder / "results")  # with their times, as cp -a and rsync -a do
    assert planned(folder) == []


def test_with_the_records_copied_too_a_clone_notices_a_change(finished, tmp_path):
    folder = copy_project(tmp_path / "clone")
    for part in ("results", ".snakemake/metadata"):
        shutil.copytree(finished / part, folder / part, copy_function=shutil.copy)  # times are lost
    assert planned(folder) == []
    assert wildcard(planned(folder, config="training: {micro_batch: 16}"), "state") >= {"stage1", "strategy5", "random"}
