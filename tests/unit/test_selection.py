import pandas as pd
import pytest

from gradual.errors import InputError
from gradual.selection import epoch_order, replay_size, select_facts


def categories(**facts):
    return pd.DataFrame(
        {"fact_id": list(facts), "category": [c + "Known" if c != "Unknown" else c for c in facts.values()]}
    )


ORIGIN = categories(a="Highly", b="Maybe", c="Weakly", d="Unknown", e="Maybe", f="Highly")
STAGE1 = categories(a="Maybe", b="Maybe", c="Maybe", d="Maybe", e="Highly", f="Highly")
BOTH = {"origin": ORIGIN, "stage1": STAGE1}
H, M, W = "HighlyKnown", "MaybeKnown", "WeaklyKnown"


def ids(selection, role="train"):
    return "".join(selection[selection["role"] == role]["fact_id"])


@pytest.mark.parametrize(
    ("origin", "expected"),
    [([H, M, W], "abc"), ([H, M], "ab"), ([M, W], "bc"), ([H, M, W, "Unknown"], "abcd")],
    ids=["strategy 1", "strategy 2", "strategy 3", "strategy 4"],
)
def test_the_strategies_of_the_paper(origin, expected):
    assert ids(select_facts(BOTH, {"stage1": [M], "origin": origin}, None, "run")) == expected


def test_replay_draws_from_the_highly_known_that_are_not_selected():
    replay = {"category": H, "ratio": 0.5, "state": "stage1"}
    selection = select_facts(BOTH, {"stage1": [M]}, replay, "strategy5")
    assert (ids(selection), ids(selection, "replay")) == ("abcd", "ef")
    some = select_facts(BOTH, {"stage1": [H], "origin": [H]}, replay, "run")
    assert (ids(some), ids(some, "replay")) == ("f", "e")


def test_nothing_to_select_names_the_run_and_what_there_is():
    with pytest.raises(InputError, match=r"run lonely.*no fact is selected.*'HighlyKnown': 2"):
        select_facts(BOTH, {"origin": [H], "stage1": [W]}, None, "lonely")


def test_nothing_to_replay_is_an_error():
    with pytest.raises(InputError, match="no fact is WeaklyKnown in stage1"):
        select_facts(BOTH, {"stage1": [M]}, {"category": W, "ratio": 0.2, "state": "stage1"}, "run")


def test_each_epoch_has_every_selected_fact_and_its_own_draw_of_replayed_ones():
    epochs = [epoch_order(30, 100, 0.2, epoch, seed=3) for epoch in range(5)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == 30 + replay_size(100, 0.2) == 50
        assert set(range(30)) <= set(rows)
    drawn = [frozenset(row for row in rows if row >= 30) for rows in epochs]
    assert len(set(drawn)) == 5
    assert len({tuple(rows) for rows in epochs}) == 5
    assert epochs == [epoch_order(30, 100, 0.2, epoch, seed=3) for epoch in range(5)]
    assert epochs[0] != epoch_order(30, 100, 0.2, 0, seed=4)
    assert sorted(epoch_order(30, 0, 0.0, 0, seed=3)) == list(range(30))
