"""The graph of a study."""

from pathlib import Path

import pytest

from gradual.study import result_files as kinds
from gradual.study.load_study import load_files, load_study
from gradual.study.result_files import Result
from gradual.study.runs import runs
from gradual.study.steps import inputs, rule_of
from gradual.workflow.works import wanted_results, works, works_of

ROOT = Path(__file__).resolve().parents[3]
STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))
ASKS = {"probe_facts", "evaluate_epochs", "check_probe", "sample_answers", "ask_groups", "augment_questions"}


@pytest.mark.parametrize("name", STUDIES)
def test_no_model_is_asked_before_its_answers_are_known_to_be_possible(name):
    config = load_study(name, ROOT)
    table = runs(config)
    done = {work.result for work in works_of(config)} | {r for found in wanted_results(config).values() for r in found}
    asking = [result for result in done if rule_of(result, table) in ASKS]
    assert asking or not config["tables"]["show"]
    for result in asking:
        assert inputs(result, table)["answerable"] == [Result(kinds.ANSWERABLE)]
    assert all(Result(kinds.ANSWERABLE) in found for found in wanted_results(config).values())


def test_a_composed_state_is_made_from_the_questions_and_the_adapters_of_all_runs_before_it():
    config = load_study("default", ROOT)
    given = {"select": {"origin": ["MaybeKnown"]}, "adapter": "compose", "compose": {"sharpness": 8}}
    config["runs"] |= {name: given | {"from": parent} for name, parent in [("a", "stage1"), ("b", "a"), ("c", "b")]}
    table = runs(config)

    def of(kind, *states):
        return [Result(kind, state) for state in states]

    assert inputs(Result(kinds.COMPOSITION, "a"), table) == {
        "base": [Result(kinds.BASE)],
        "examples": of(kinds.EXAMPLES, "stage1", "a"),
        "adapters": of(kinds.ADAPTER, "stage1"),
        "compositions": [],  # stage1 was trained on the base model alone
    }
    assert inputs(Result(kinds.COMPOSITION, "c"), table) == {
        "base": [Result(kinds.BASE)],
        "examples": of(kinds.EXAMPLES, "stage1", "a", "b", "c"),
        "adapters": of(kinds.ADAPTER, "stage1", "a", "b"),
        "compositions": of(kinds.COMPOSITION, "a", "b"),
    }
    training = inputs(Result(kinds.EPOCHS, "c"), table)
    assert (training["merge"], training["parent"]) == (of(kinds.COMPOSITION, "c"), [])
    evaluation = inputs(Result(kinds.EVALUATION, "c"), table)
    assert (evaluation["adapters"], evaluation["epochs"]) == (of(kinds.COMPOSITION, "c"), of(kinds.EPOCHS, "c"))
    assert inputs(Result(kinds.GENERATIONS, "c"), table)["adapters"] == [
        Result(kinds.COMPOSITION, "c"),
        Result(kinds.ADAPTER, "c"),
    ]
    assert rule_of(Result(kinds.EPOCHS, "c"), table) == "train_adapter"


def test_the_answers_that_a_run_trains_on_choose_the_rule_of_its_examples_and_of_no_other_result():
    table = runs(load_study("default", ROOT))
    for kind in kinds.KINDS:
        rules = {rule_of(Result(kind, run), table) for run in ("stage1", "drawn_answers")}
        assert len(rules) == (2 if kind == kinds.EXAMPLES else 1)
    assert rule_of(Result(kinds.EXAMPLES, "drawn_answers"), table) == "draw_answers"


def test_a_run_with_preference_is_sampled_from_its_parent_before_it_is_trained():
    own = {"objective": "preference", "preference": {}, "from": "stage1", "select": {"stage1": ["MaybeKnown"]}}
    config = load_files([], {"runs": {"pbl": own, "after": own | {"from": "pbl", "adapter": "merge"}}}, ROOT)
    table, samples = runs(config), Result(kinds.SAMPLES, "pbl")
    assert inputs(samples, table) == {
        "base": [Result(kinds.BASE)],
        "answerable": [Result(kinds.ANSWERABLE)],
        "adapters": [Result(kinds.ADAPTER, "stage1")],
        "examples": [Result(kinds.EXAMPLES, "pbl")],
    }
    assert inputs(Result(kinds.SAMPLES, "after"), table)["adapters"] == [Result(kinds.ADAPTER, "pbl")]
    assert inputs(Result(kinds.EPOCHS, "pbl"), table)["samples"] == [samples]
    assert inputs(Result(kinds.EPOCHS, "stage1"), table)["samples"] == []
    assert rule_of(samples, table) == "sample_answers"
    found = {work.result: work for work in works({"qwen2": [Result(kinds.EPOCHS, "pbl")]}, config)}
    assert (found[samples].name, found[samples].jobs) == ("sampling", 1)
    assert found[samples].usage() == ["seed0/qwen2/pbl/samples-usage.json"]
