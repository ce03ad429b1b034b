"""The paper's numbers as transcribed: what its tables say of the same facts must agree."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls

from gradual.ground.errors import InputError
from gradual.knowledge import categories
from gradual.tables.gradual_learning import paper

STATES = ("One-Stage", *(f"Strategy {i}" for i in range(1, 6)))


def qwen(number: int) -> dict[tuple[str, str], float]:
    return paper.values(number, "Qwen2-7B")


def total(number: int, model: str) -> float:
    return sum(paper.values(number, model).values())


@pytest.mark.parametrize("model", ["Qwen2-7B", "LLaMA3-8B"])
def test_tables_2_and_3_count_the_same_facts(model):
    before, transitions = paper.values(2, model), paper.values(3, model)
    assert total(2, model) == total(3, model) == 169_164
    for name in categories.FULL:
        margin = sum(value for (origin, _), value in transitions.items() if origin == name)
        assert margin == before[name, "Num"]


def test_table_4_counts_all_rows():
    assert total(4, "Qwen2-7B") == 176_560
    assert paper.values(4, "LLaMA3-8B") == {}


def test_table_5_names_fewer_linked_nodes_than_reclassified_ones():
    assert qwen(5) == {
        ("Initial", "Count"): 43_005,
        ("Reclassified", "Count"): 5_121,
        ("Linked Reclassified", "Count"): 3_968,
    }
    # A fact has two nodes, so there are at most twice as many as facts (Tables 2 and 3).
    assert qwen(5)["Initial", "Count"] <= 2 * qwen(2)["MaybeKnown", "Num"]
    assert qwen(5)["Reclassified", "Count"] <= 2 * qwen(3)["WeaklyKnown", "MaybeKnown"]


def test_table_6_ends_lower_the_longer_it_trains():
    cells = qwen(6)
    lengths = ("10", "15", "20", "25")
    assert list(dict.fromkeys(row for row, _ in cells)) == list(lengths)
    assert [cells[row, "Max Acc"] for row in lengths] == [32.98, 32.99, 33.00, 32.99]
    assert [cells[row, "Final Acc"] for row in lengths] == [32.74, 31.21, 30.73, 30.50]
    assert all(cells[row, "Final Acc"] < cells[row, "Max Acc"] for row in lengths)


def test_the_accuracies_of_the_stages_are_the_same_in_all_tables():
    one, two = (qwen(7)[stage, "Max Accuracy"] for stage in ("One-Stage", "Two-Stage"))
    assert one == qwen(6)["10", "Max Acc"] == qwen(8)["One-Stage", "Max Acc"] == qwen(11)["One-Stage", "Accuracy"]
    assert two == qwen(8)["Strategy 5", "Max Acc"] == qwen(11)["Two-Stage", "Accuracy"]
    assert two - qwen(11)["Multi-Rounds", "Accuracy"] == pytest.approx(0.01)


def test_table_9_averages_to_table_8():
    by_category, overall = qwen(9), qwen(8)
    matrix = np.array([[by_category[state, name] for name in categories.FULL] for state in STATES])
    accuracies = np.array([overall[state, "Max Acc"] for state in STATES])
    # The shares of the categories on test are not printed, but one set of them must explain all six rows.
    heavy = 1e4  # makes the shares sum to one
    shares, _ = nnls(np.vstack([matrix, heavy * np.ones(4)]), np.append(accuracies, heavy))
    assert shares.sum() == pytest.approx(1, abs=1e-6)
    # Both tables are rounded to 0.01.
    assert matrix @ shares == pytest.approx(accuracies, abs=0.01)
    # Test facts are known about as well as train facts.
    assert shares == pytest.approx([qwen(2)[name, "Num"] / 169_164 for name in categories.FULL], abs=0.02)


def test_what_the_caption_of_table_9_says_is_so_but_for_strategy_4():
    cells = qwen(9)
    lower = {(s, n) for s in STATES for n in categories.FULL if cells[s, n] < cells["One-Stage", n]}
    assert lower == {
        ("Strategy 2", "MaybeKnown"),
        ("Strategy 2", "WeaklyKnown"),
        ("Strategy 2", "Unknown"),
        ("Strategy 4", "MaybeKnown"),
    }


def test_table_10_agrees_with_tables_2_and_3():
    counts, before, transitions = qwen(10), qwen(2), qwen(3)
    for stage in ("Origin", "One-Stage", "Two-Stage"):
        assert sum(value for (_, column), value in counts.items() if column == stage) == 169_164
    assert counts["HighlyKnown", "Origin"] == before["HighlyKnown", "Num"]
    for name in categories.GREEDY_ONLY:
        assert counts[name, "One-Stage"] == sum(value for (_, new), value in transitions.items() if new == name)


def test_the_margins_of_table_12_are_in_table_10():
    counts, transitions = qwen(10), qwen(12)
    for name in categories.GREEDY_ONLY:
        assert sum(v for (origin, _), v in transitions.items() if origin == name) == counts[name, "One-Stage"]
        assert sum(v for (_, new), v in transitions.items() if new == name) == counts[name, "Two-Stage"]


def test_number_of_cells():
    frame = pd.read_csv(paper.FILE)
    expected = {2: 8, 3: 24, 4: 9, 5: 3, 6: 8, 7: 6, 8: 6, 9: 24, 10: 9, 11: 3, 12: 9}
    assert frame.groupby("table").size().to_dict() == expected
    assert not frame.duplicated(["table", "model", "row", "column"]).any()
    assert [paper.models(number) for number in (2, 12)] == [("Qwen2-7B", "LLaMA3-8B"), ("Qwen2-7B",)]


def test_a_model_that_the_paper_does_not_have():
    with pytest.raises(InputError, match=r"'Qwen2'.*Qwen2-7B, LLaMA3-8B or null"):
        paper.values(2, "Qwen2")
    assert paper.values(2, None) == {}
