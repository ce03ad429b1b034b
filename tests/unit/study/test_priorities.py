"""Which works wait for which, and what a machine with few cores begins with."""

from pathlib import Path

from gradual.study.load_study import load_study, works_of
from gradual.study.priorities import before, urgencies
from gradual.study.runs import runs

ROOT = Path(__file__).resolve().parents[3]


def test_what_most_waits_for_is_most_urgent():
    study = load_study("default", ROOT)
    found = urgencies(works_of(study), study)
    assert found["qwen2", "round3", "evaluation"] == 4  # its epochs; nothing waits for it
    assert found["qwen2", "round3", "training"] == 5
    assert found["qwen2", "strategy5", "probe of train"] == 15  # ten prompts, and round3
    assert found["qwen2", "strategy5", "evaluation"] == 19
    assert found["qwen2", "stage1_25", "evaluation"] == 25
    assert found["qwen2", "train_on", "probe of train"] == 10
    stage1 = ("probe of train", "evaluation", "training")
    assert [found["qwen2", "stage1", work] for work in stage1] == [30, 40, 41]
    assert found["qwen2", "origin", "probe of train"] == 51
    assert found["qwen2", "origin", "probe of train again"] == 10
    assert found["qwen2", "origin", "evaluation"] == 41  # with which stage 1 is compared
    assert found["llama3", "origin", "probe of train"] == 46  # it has no third round
    for (model, state, work), urgency in found.items():
        for other in before((state, work), runs(study)):
            if (model, *other) in found:
                assert found[(model, *other)] > urgency


def test_every_work_of_every_seed_is_known():
    study = load_study("replicated", ROOT)
    works = works_of(study)
    assert set(urgencies(works, study)) == {(work["model"], work["state"], work["work"]) for work in works}
