"""What an edit of the code re-runs by itself: exactly the rules that docs/reruns.md says.

An edit adds a constant to a module. A rule runs again of itself where the fingerprint of its script changes; what follows
from its results runs again too, and is not counted here.
"""

import json
import os
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

from gradual.report.registry import FIGURES
from gradual.study.load_study import load_study
from gradual.study.result_files import EXAMPLES
from gradual.study.steps import GRAPH, rules_of
from gradual.tables.registry import MULTI_STAGE, TABLES
from gradual.training.objectives import OBJECTIVES
from gradual.workflow.fingerprint import chosen_by, code_fingerprint

ROOT = Path(__file__).resolve().parents[3]
RULES = {*(rule for kind in GRAPH for rule in rules_of(kind)), "fetch_base", "write_table", "collect_tables"}
RULES |= {"write_costs", "write_provenance", "draw_figure", "write_report"}

ANSWERING = {"probe_facts", "evaluate_epochs", "ask_groups", "sample_answers", "augment_questions"}
ASKING = {*ANSWERING, "check_probe"}
QUESTIONING = ASKING - {"augment_questions", "sample_answers"}
PROBING = QUESTIONING - {"ask_groups"}
GROUPED = {"select_groups", "revise_examples", "ask_groups", "grade_groups", "augment_questions"}
AUGMENTING = {"augment_questions", "augment_examples"}
KEEPING = {"choose_epoch", "keep_last_epoch", "scale_adapter"}
LOADING = {*ASKING, "train_adapter"}
PROMPTING = {*LOADING, "check_answers", "match_tokens"}
TOKENIZING = {*PROMPTING, "compose_adapters"}
JUDGING = {"probe_facts", "check_probe", "grade_generations", "grade_epochs", "estimate_chance"}
GRADING = {"grade_generations", "categorize_facts", "estimate_chance", "grade_epochs", "grade_groups"}

# An edit of a module, and the rules that it re-runs of itself in the default study.
EDITS: dict[str, set[str]] = {
    # what another study chooses
    "probe/engines/vllm.py": set(),
    "knowledge/settling.py": set(),
    "data/readers/table.py": set(),
    "data/readers/popqa.py": set(),
    "data/download.py": {"build_facts"},
    "data/dataset.py": {"build_facts", "reword_questions"},
    "data/readers/entity_questions.py": set(),
    # how, where and why jobs run
    "workflow/starting.py": set(),
    "workflow/gpus.py": set(),
    "workflow/launching.py": set(),
    "workflow/timers.py": set(),
    "workflow/slurm.py": set(),
    "workflow/lock.py": set(),
    "workflow/profiles.py": set(),
    "workflow/fingerprint.py": set(),
    "workflow/rerun_reasons.py": set(),
    "workflow/job_failures.py": set(),
    "workflow/works.py": set(),
    "workflow/watching.py": set(),
    "planning/report.py": set(),
    "export/folder.py": set(),
    "export/cards.py": set(),
    "tables/differences.py": set(),
    "tables/head.py": {"collect_tables"},
    "study/config.py": set(),
    "study/config_checks.py": set(),
    "study/config_problems.py": set(),
    "study/dataset_checks.py": set(),
    "study/run_checks.py": set(),
    "study/config_texts.py": set(),
    "study/load_study.py": set(),
    "ground/strict_yaml.py": set(),
    "study/runs.py": {"write_costs", "write_provenance"},
    "study/steps.py": set(),
    "study/priorities.py": set(),
    # data
    "data/generated_world.py": {"build_facts", "reword_questions"},
    "data/subsets.py": {"build_facts", "reword_questions"},
    "data/revisions.py": {"revise_facts", *GROUPED},
    "data/revision_draws.py": {"revise_facts"},
    "data/train_answers.py": {"revise_facts"},
    "data/readers/dated_answers.py": {"revise_facts"},
    "data/question_wordings.py": {"reword_questions", "revise_examples", "ask_groups", "augment_questions"},
    "data/wording_templates.py": {"reword_questions"},
    "data/readers/table_wordings.py": {"reword_questions"},
    "data/readers/named_facts.py": {"revise_facts", "reword_questions"},
    "data/cells.py": {"revise_facts", "reword_questions", "sample_answers", *AUGMENTING, *GROUPED},
    "data/pretraining_text.py": {"build_corpus"},
    "data/augmentation_documents.py": {"build_corpus", "augment_questions"},
    "data/augmentation_forms.py": {"build_corpus", *AUGMENTING},
    "data/neighbours.py": {"build_corpus", "augment_questions"},
    "data/sentence_templates.py": {"build_corpus", "augment_questions"},
    "data/question_sets.py": {*PROBING, "check_answers", "collect_tables"},
    # models
    "models/fetching.py": {"fetch_base"},
    "models/folder.py": {"fetch_base", "pretrain_base", *TOKENIZING},
    "models/package.py": {"fetch_base"},
    "models/converted.py": {"fetch_base"},
    "models/gguf_file.py": {"fetch_base"},
    "models/gguf_weights.py": {"fetch_base"},
    "models/gguf_tokenizer.py": {"fetch_base"},
    "models/handle.py": {"fetch_base", "pretrain_base", *TOKENIZING},
    "models/loading.py": TOKENIZING,
    "models/logit_rounding.py": ANSWERING,
    "models/shipped.py": {"pretrain_base"},
    "models/tokenizer_check.py": TOKENIZING,
    "models/adapters.py": {*TOKENIZING, *KEEPING, "measure_change"},
    "models/composition.py": {"scale_adapter", "compose_adapters", "measure_change"},
    "models/weight_change.py": {"measure_change"},
    "models/shape.py": {"train_adapter"},
    # the probe
    "probe/prompts.py": {*PROMPTING, "collect_tables"},
    "probe/chat_template.py": {*PROMPTING, "collect_tables"},
    "probe/augmentation_prompts.py": {"augment_questions"},
    "probe/questions.py": QUESTIONING,
    "probe/settings.py": ASKING,
    "probe/answers.py": ASKING,
    "probe/engines/transformers.py": ANSWERING,
    "probe/engines/wave.py": ANSWERING,
    "probe/engines/kv_tree.py": ANSWERING,
    "probe/engines/prefill.py": ANSWERING,
    "probe/engines/model_check.py": ANSWERING,
    "probe/engines/load.py": ANSWERING,
    "probe/recording.py": ANSWERING,
    "probe/asking.py": ANSWERING,
    "probe/agreement.py": {"check_probe"},
    "probe/plain_generate.py": {"check_probe"},
    # what a state knows
    "knowledge/golds.py": {*JUDGING, "check_answers", "collect_tables"},
    "knowledge/answerable.py": {"check_answers", "collect_tables"},
    "knowledge/scoring.py": {*GRADING, "check_probe", "sample_answers"},
    "knowledge/alignment.py": {"sample_answers"},
    "knowledge/categories.py": {"categorize_facts", "estimate_chance"},
    "knowledge/accuracy.py": {"grade_epochs"},
    "knowledge/epoch_choice.py": {*KEEPING, "write_costs", "write_provenance"},
    "knowledge/chance.py": {"estimate_chance"},
    "knowledge/selection.py": {"select_facts"},
    "knowledge/group_selection.py": {"select_groups"},
    "knowledge/retention.py": set(),
    "knowledge/revision_grades.py": {"grade_groups"},
    "knowledge/frequent_answers.py": set(),
    # training
    "training/examples.py": {
        *rules_of(EXAMPLES),
        "augment_questions",
        "compose_adapters",
        "sample_answers",
        "train_adapter",
    },
    "training/augment_settings.py": {*AUGMENTING, "write_costs", "write_provenance"},
    "training/augmentation.py": AUGMENTING,
    "training/augmentation_templates.py": {"augment_questions"},
    "training/augmented_selection.py": {"augment_examples"},
    "training/repeated_examples.py": {"match_steps", "match_tokens"},
    "training/drawn_answers.py": {"draw_answers"},
    "training/revised_answers.py": {"revise_examples"},
    "training/texts.py": {"match_tokens", "sample_answers", "train_adapter"},
    "training/stage_matching.py": {"compose_adapters"},
    "training/samples.py": {"sample_answers"},
    "training/log_probabilities.py": {"sample_answers"},
    "training/replay.py": {"train_adapter"},
    "training/lora.py": {"train_adapter"},
    "training/trackers.py": {"train_adapter"},
    "training/checkpoints.py": {"train_adapter"},
    "training/objectives.py": {"train_adapter"},
    "training/cross_entropy.py": {"train_adapter"},
    "training/preference.py": set(),
    "training/shared_beginnings.py": set(),
    "training/gpu_memory.py": {"train_adapter"},
    "training/pretraining.py": {"pretrain_base"},
    "training/equal_bits.py": {"pretrain_base"},
    "training/callbacks.py": {"pretrain_base", "train_adapter"},
    # the ground
    "ground/waiting.py": {"build_facts", "fetch_base"},
    "ground/libraries.py": {"pretrain_base", *TOKENIZING},
    "ground/statistics.py": set(),
}
# An edit of a module of the tables, and the tables that it re-makes.
TABLE_EDITS: dict[str, set[str]] = {
    "tables/gradual_learning/graph.py": {"table_05", "claims"},
    "tables/gradual_learning/claims.py": {"claims"},
    "tables/gradual_learning/scoring_rules.py": {"scoring"},
    "tables/gradual_learning/category_counts.py": {"table_10", "claims"},
    "tables/gradual_learning/guessing.py": {"guessing", "guessing_by_relation"},
    "tables/verdicts.py": {"claims", "stage_claims"},
    "tables/multi_stage/stages.py": {"stages"},
    "tables/multi_stage/retained.py": {"retention", "budgets", "stage_claims"},
    "tables/multi_stage/claims.py": {"stage_claims"},
    **{f"tables/multi_stage/{table}.py": {table} for table in ("answers", "matrix", "domains", "budgets")},
    "tables/multi_stage/columns.py": set(MULTI_STAGE.tables),
    "tables/multi_stage/paper.py": set(TABLES),
    "study/methods.py": set(TABLES),
    "knowledge/stages.py": set(TABLES),
    "tables/multi_stage/graded.py": set(MULTI_STAGE.tables),
    "tables/multi_stage/roles.py": set(TABLES),  # a table's settings are read with the roles of both papers
    "knowledge/retention.py": set(MULTI_STAGE.tables),
    "knowledge/group_selection.py": set(MULTI_STAGE.tables),
    "tables/markdown.py": set(TABLES),
    "tables/table_csv.py": set(TABLES),
    "tables/differences.py": set(),
    "ground/statistics.py": set(TABLES),
    "knowledge/entity_graph.py": {"table_05", "claims"},
    "data/train_answers.py": {"table_07", "table_11", "claims", "guessing", "guessing_by_relation"},
    "knowledge/frequent_answers.py": {"table_07", "table_11", "claims", "guessing", "guessing_by_relation"},
    "knowledge/golds.py": {"table_07", "table_11", "claims", "guessing", "guessing_by_relation"},
    "probe/prompts.py": set(),
    "training/lora.py": set(),
}
# An edit of a module, and the figures that it draws anew.
FIGURE_EDITS: dict[str, set[str]] = {
    "report/canvas.py": set(FIGURES),
    "tables/table_csv.py": set(FIGURES),
    "report/panels.py": {"epochs", "stages", "retention", "log_ratios"},
    "report/figures/claims.py": {"claims", "stage_claims"},
    "report/figures/flows.py": {"flows"},
    "report/figures/epochs.py": {"epochs"},
    "report/figures/time.py": {"time"},
    "report/figures/budgets.py": {"budgets"},
    "report/figures/log_ratios.py": {"log_ratios"},
    "report/figures/matrix.py": {"matrix"},
    "report/figures/stages.py": {"stages", "retention"},
    "report/figures/methods.py": {"methods"},
    "tables/multi_stage/roles.py": {"stages", "retention", "methods"},
    "tables/multi_stage/claims.py": set(),
    "report/page.py": set(),
    "tables/gradual_learning/claims.py": set(),
    "tables/verdicts.py": {"claims", "stage_claims"},
    "training/lora.py": set(),
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    return shutil.copytree(ROOT / "scripts", tmp_path_factory.mktemp("project") / "scripts")


def prints(scripts, jobs, chosen):
    """The fingerprint of each of the jobs (by name, a script and what it chooses)."""
    return {
        name: code_fingerprint(scripts / f"{script}.py", scripts / "gradual", chosen | more)
        for name, (script, more) in jobs.items()
    }


@cache
def before(scripts, of_jobs, of_chosen):
    """The same without an edit, which all tests have in common; the arguments are JSON."""
    return prints(scripts, json.loads(of_jobs), json.loads(of_chosen))


def changed(scripts, module, jobs, **choices):
    """Which of the jobs an edit of a module changes."""
    file = scripts / "gradual" / module
    chosen = chosen_by(load_study("default", ROOT) | choices)
    unedited, text = before(scripts, json.dumps(jobs), json.dumps(chosen)), file.read_text(encoding="utf-8")
    file.write_text(f"{text}\nEDITED = 1\n", encoding="utf-8")
    os.utime(file, ns=(file.stat().st_mtime_ns + 10**9,) * 2)  # an edit within the clock's resolution
    edited = prints(scripts, jobs, chosen)
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(file.stat().st_mtime_ns + 2 * 10**9,) * 2)
    return {name for name in jobs if unedited[name] != edited[name]}


WITHOUT_TABLES = {rule: (rule, {}) for rule in RULES - {"write_table", "draw_figure", "write_report"}}
WITHOUT_TABLES["train_adapter"] = ("train_adapter", {"objective": ["cross_entropy"]})
BY_TABLE = {name: ("write_table", {"table": [name]}) for name in TABLES}


@pytest.mark.parametrize("module", EDITS)
def test_an_edit_re_runs_what_it_concerns(scripts, module):
    assert changed(scripts, module, WITHOUT_TABLES) == EDITS[module]


@pytest.mark.parametrize("module", TABLE_EDITS)
def test_an_edit_re_makes_the_tables_that_it_concerns(scripts, module):
    assert changed(scripts, module, BY_TABLE) == TABLE_EDITS[module]


BY_FIGURE = {name: ("draw_figure", {"figure": [name]}) for name in FIGURES}


@pytest.mark.parametrize("module", FIGURE_EDITS)
def test_an_edit_draws_the_figures_that_it_concerns_and_no_others(scripts, module):
    assert changed(scripts, module, BY_FIGURE) == FIGURE_EDITS[module]


def test_an_edit_of_a_table_of_the_page_or_of_a_figures_title_makes_the_page_again(scripts):
    written = {"write_report": ("write_report", {})}
    for module in ("report/page.py", "report/figures/time.py", "tables/gradual_learning/claims.py"):
        assert changed(scripts, module, written) == {"write_report"}
    assert changed(scripts, "training/lora.py", written) == set()


def test_what_a_study_chooses_counts_for_it(scripts):
    settled = {"probe": {"engine": "vllm", "counts": "settled"}}
    jsonl = {"dataset": {"reader": "jsonl"}}
    assert changed(scripts, "probe/engines/vllm.py", WITHOUT_TABLES, **settled) == ANSWERING
    assert changed(scripts, "probe/engines/wave.py", WITHOUT_TABLES, **settled) == set()
    assert changed(scripts, "knowledge/settling.py", WITHOUT_TABLES, **settled) == {"probe_facts"}
    assert changed(scripts, "data/readers/table.py", WITHOUT_TABLES, **jsonl) == {"build_facts", "reword_questions"}
    assert changed(scripts, "data/readers/popqa.py", WITHOUT_TABLES, **jsonl) == set()
    assert changed(scripts, "data/generated_world.py", WITHOUT_TABLES, **jsonl) == set()


def test_an_edit_of_a_runs_objective_re_runs_trainings_with_this_objective(scripts):
    runs = {name: ("train_adapter", {"objective": [name]}) for name in OBJECTIVES}
    for module in ("preference", "samples", "shared_beginnings"):
        assert changed(scripts, f"training/{module}.py", runs) == {"preference"}
    assert changed(scripts, "training/cross_entropy.py", runs) == {"cross_entropy"}
    assert changed(scripts, "training/lora.py", runs) == {*OBJECTIVES}


def test_every_script_of_a_rule_is_looked_at():
    rules = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "rules").glob("*.smk"))
    assert {rule for rule in RULES if f"scripts/{rule}.py" in rules} == RULES


def test_the_modules_that_the_documentation_names_are_among_the_edits():
    told = (ROOT / "docs" / "reruns.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", told)) - {"tests/unit/workflow/test_edits.py"}
    assert named <= {*EDITS, *TABLE_EDITS, *FIGURE_EDITS} and len(named) > 15
