"""The order of jobs: what a machine with few cores begins with."""

from pathlib import Path

import pytest

from gradual.study.load_study import load_study
from gradual.study.priorities import urgencies
from gradual.study.result_files import EPOCHS, EVALUATION, GENERATIONS, Result
from gradual.study.runs import runs
from gradual.study.steps import inputs
from gradual.workflow.works import wanted_results, works_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def found():
    study = load_study("default", ROOT)
    return urgencies(wanted_results(study), study)


def test_what_most_work_waits_for_is_most_urgent(found):
    def urgency(state, kind, probe=0, model="qwen2"):
        return found[model, Result(kind, state, probe)]

    assert urgency("round3", EVALUATION) == 4  # its epochs; nothing waits for it
    assert urgency("round3", EPOCHS) == 5
    assert urgency("strategy5", GENERATIONS) == 15  # ten prompts, and round3
    assert urgency("strategy5", EVALUATION) == 19
    assert urgency("stage1_25", EVALUATION) == 25
    assert urgency("train_on", GENERATIONS) == 10
    assert [urgency("stage1", kind) for kind in (GENERATIONS, EVALUATION, EPOCHS)] == [30, 40, 41]
    assert urgency("origin", GENERATIONS) == 51
    assert urgency("origin", GENERATIONS, 1) == 10
    assert urgency("origin", EVALUATION) == 31  # with which the grades of stage 1 are compared, before its probe
    assert urgency("origin", GENERATIONS, model="llama3") == 46  # it has no third round


def test_nothing_is_less_urgent_than_what_waits_for_it(found):
    table = runs(load_study("default", ROOT))
    for (model, result), urgency in found.items():
        for needed in inputs(result, table).values():
            assert all(found[model, other] >= urgency for other in needed), result


def test_every_work_of_every_seed_is_known():
    study = load_study("replicated", ROOT)
    kinds = (GENERATIONS, EPOCHS, EVALUATION)
    known = {key for key in urgencies(wanted_results(study), study) if key[1].kind in kinds}
    assert known == {(work.model, work.result) for work in works_of(study) if work.result.kind in kinds}
