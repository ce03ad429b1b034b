import json
from pathlib import Path

import pandas as pd
import pytest

import select_facts as script
from gradual.ground.errors import InputError
from gradual.knowledge.selection import select_facts


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
    replay = ("stage1", H)
    selection = select_facts(BOTH, {"stage1": [M]}, replay, "strategy5")
    assert (ids(selection), ids(selection, "replay")) == ("abcd", "ef")
    some = select_facts(BOTH, {"stage1": [H], "origin": [H]}, replay, "run")
    assert (ids(some), ids(some, "replay")) == ("f", "e")


def test_nothing_to_select_names_the_run_and_what_there_is():
    with pytest.raises(InputError, match=r"run lonely.*no fact is selected.*'HighlyKnown': 2"):
        select_facts(BOTH, {"origin": [H], "stage1": [W]}, None, "lonely")


def test_nothing_to_replay_is_an_error():
    with pytest.raises(InputError, match="no fact is WeaklyKnown in stage1"):
        select_facts(BOTH, {"stage1": [M]}, ("stage1", W), "run")


# Training sets of equal size

MANY = {"origin": pd.DataFrame({"fact_id": [f"{i:016x}" for i in range(100)], "category": [M] * 60 + [H] * 40})}


def drawn(size, run="run", seed=0, select=None, replay=None):
    selection = select_facts(MANY, select or {"origin": [M]}, replay, run, size, seed)
    return set(selection.loc[selection["role"] == "train", "fact_id"])


def test_a_size_draws_so_many_of_the_facts_there_are():
    everything = drawn(None)
    assert len(everything) == 60
    for size in (1, 7, 59):
        assert len(drawn(size)) == size and drawn(size) < everything
    assert drawn(60) == drawn(61) == drawn(1000) == everything


def test_the_draw_depends_on_run_and_seed_alone():
    assert drawn(20) == drawn(20)
    assert drawn(20) != drawn(20, seed=1) and drawn(20) != drawn(20, run="other")
    turned = {"origin": MANY["origin"][::-1]}
    assert set(select_facts(turned, {"origin": [M]}, None, "run", 20)["fact_id"]) == drawn(20)


def test_the_draw_takes_categories_as_they_come():
    found = drawn(50, select={"origin": [M, H]})
    maybe = len(found & drawn(None))
    assert 20 < maybe < 40  # 30 of 60 and 20 of 40 on average


def test_what_a_size_leaves_out_may_be_replayed():
    replay = ("origin", M)
    selection = select_facts(MANY, {"origin": [M]}, replay, "run", 20)
    trained, pool = (set(selection.loc[selection["role"] == role, "fact_id"]) for role in ("train", "replay"))
    assert len(trained) == 20 and pool == drawn(None) - trained


@pytest.mark.parametrize(("limit", "expected", "warned"), [(5, 5, False), (80, 60, True)])
def test_the_script_draws_as_many_as_another_run_trains_on(tmp_path: Path, caplog, limit, expected, warned):
    MANY["origin"].to_parquet(tmp_path / "categories.parquet")
    other = pd.DataFrame({"fact_id": range(limit + 9), "role": ["train"] * limit + ["replay"] * 9})
    other.to_parquet(tmp_path / "other.parquet")
    arguments = ["--run", "run", "--states", "origin", "--categories", str(tmp_path / "categories.parquet")]
    arguments += ["--select", json.dumps({"origin": [M]}), "--seed", "3"]
    arguments += ["--size-of", str(tmp_path / "other.parquet"), "--selection", str(tmp_path / "selection.parquet")]
    script.main(arguments)
    selection = pd.read_parquet(tmp_path / "selection.parquet")
    assert set(selection["fact_id"]) == drawn(limit, seed=3) and len(selection) == expected
    assert any("60 facts to select" in message for message in caplog.messages) == warned
