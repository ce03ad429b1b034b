"""Knowledge or guessing: the tables, and the claims on facts with rare gold answers, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.study.result_files import ADAPTER, EVALUATION, FACTS, Result
from gradual.tables import registry
from gradual.tables.spec import Results
from gradual.tables.verdicts import SHOWS, UNDECIDED
from made_up import ORIGIN, RUN1, RUN2, fact_table, is_right, test_id, whole_results, whole_study

STATES = ["Origin", "One-Stage", "Two-Stage", "Control of One-Stage: random", "Control of Two-Stage: train_on"]


def with_common(train: tuple[int, ...] = (4, 5), test: tuple[int, ...] = (0, 1), seed: int = 0, **other) -> Results:
    """The results that were made up by hand, but some train and test facts have the same answer. The others' are rare."""
    made = whole_results(seed, **other)
    facts = fact_table(10, 10)
    for i in (*train, *(10 + i for i in test)):
        facts.at[i, "answers"] = ["common"]
    made[seed, "", Result(FACTS)] = facts
    return made


def claims(made: Results, seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    """The table of claims, by the first letters of a claim."""
    frame = registry.TABLES["claims"].build(made, whole_study(seeds))
    return frame.assign(key=frame["claim"].str[:14]).set_index("key")


def paired(before: str, after: str) -> list[float]:
    found = statistics.paired_difference(np.array(is_right(before, 0)), np.array(is_right(after, 0)))
    return [100 * value for value in found]


def of(row: pd.Series, name: str) -> list[float]:
    return [row[name], row[f"{name}_low"], row[f"{name}_high"]]


# Claims


def test_each_claim_on_the_facts_with_a_rare_gold():
    found = claims(with_common())
    expected = {  # on all test facts but the first two, and on all train facts but two WeaklyKnown ones
        "Stage 1 lifts ": (paired("10000000", "01100000"), 8),
        "HighlyKnown gr": (paired("11000000", "11100010"), 8),
        "Longer trainin": (paired("01000000", "00100000"), 8),
        "Stage 2 lifts ": (paired("01100000", "01101100"), 8),
        "Strategy 5 is ": (paired("11100000", "01101100"), 8),
        "Stage 2 keeps ": (paired("0", "0"), 1),
        "A third round ": (paired("01101100", "01101000"), 8),
    }
    for claim, (points, n) in expected.items():
        assert of(found.loc[claim], "rare_points") == pytest.approx(points), claim
        assert found.loc[claim, "rare_facts"] == n, claim
    untrained = found.loc["Facts that sta"]  # of WUUU two rise, and none does in the re-probe
    assert of(untrained, "rare_points") == pytest.approx([100 * value for value in statistics.wilson(2, 4)])
    assert untrained["rare_facts"] == 4
    growth = found.loc["Stage 2 adds t"]  # HighlyKnown at origin 2, stage1 4, strategy5 5
    assert growth["rare_points"] == pytest.approx(50) and growth["rare_facts"] == 8


def test_the_other_columns_do_not_depend_on_which_golds_are_rare():
    one, other = claims(with_common()), claims(whole_results())
    new = ["rare_points", "rare_points_low", "rare_points_high", "verdict_rare", "rare_facts"]
    assert list(one.columns)[-5:] == new
    assert one.drop(columns=new).equals(other.drop(columns=new))


def test_if_all_golds_are_rare_the_effect_there_is_the_effect():
    found = claims(whole_results(times=40)).drop("The graph conn")
    for end in ("", "_low", "_high"):
        assert list(found[f"rare_points{end}"]) == pytest.approx(list(found[f"effect_points{end}"]), nan_ok=True)
    assert list(found["verdict_rare"]) == list(found["verdict"]) and SHOWS in set(found["verdict_rare"])


def test_the_verdict_of_a_claim_beyond_noise_is_net_of_the_noise_on_rare_golds():
    noisy = {(ORIGIN, 1): "HHHMMWMUHU"}  # the re-probe moves as many facts as training does
    row = claims(whole_results(times=100, train=noisy)).loc["Facts that sta"]
    assert row["rare_points_low"] > 0 and row["verdict_rare"] == row["verdict"] != SHOWS


def test_the_rival_of_the_best_strategy_is_the_best_on_all_facts():
    made = with_common(
        right={"strategy1": {1: "0011110000"}}
    )  # four right, all of them rare; strategy4 has three of these
    row = claims(made).loc["Strategy 5 is "]
    assert "(Strategy 4)" in row["claim"] and of(row, "rare_points") == pytest.approx(paired("11100000", "01101100"))


def test_the_graph_is_not_of_facts_and_has_no_effect_on_rare_golds():
    row = claims(with_common()).loc["The graph conn"]
    assert row[["rare_points", "rare_points_low", "rare_points_high", "rare_facts"]].isna().all()
    assert row["verdict_rare"] == ""


def test_without_a_rare_gold_nothing_is_decided_there():
    everything = tuple(range(10))
    found = claims(with_common(everything, everything)).drop("The graph conn")
    assert (found["rare_facts"] == 0).all() and found["rare_points"].isna().all()
    assert (found["verdict_rare"] == UNDECIDED).all()


def test_a_seed_without_a_rare_gold_is_left_out():
    everything = tuple(range(10))
    made = with_common() | with_common(everything, everything, seed=1) | with_common((4, 5), (2, 3), seed=2)
    row = claims(made, (0, 1, 2)).loc["Stage 1 lifts "]
    gains = [paired("10000000", "01100000")[0], paired("11000000", "11100000")[0]]
    expected = statistics.mean_interval(gains)
    assert of(row, "rare_points") == pytest.approx([expected.value, max(expected.low, -100), min(expected.high, 100)])
    assert row["rare_facts"] == pytest.approx((8 + 0 + 8) / 3)


# The tables


def guessing(name: str, made: Results, seeds: tuple[int, ...] = (0,), **other) -> pd.DataFrame:
    return registry.TABLES[name].build(made, whole_study(seeds, **other))


def saying(made: Results, state: str, *facts: int, seed: int = 0) -> Results:
    """The results, but the state answers "Common!" to these test facts in every epoch."""
    answers = made[seed, "m", Result(EVALUATION, state)]
    said = answers["fact_id"].isin([test_id(i) for i in facts])
    return made | {(seed, "m", Result(EVALUATION, state)): answers.assign(text=answers["text"].mask(said, "Common!"))}


def test_each_state_on_majority_frequent_and_rare_golds():
    frame = guessing("guessing", saying(with_common(), RUN1, 0, 5, 6)).set_index("name")
    assert list(frame.index) == STATES
    assert set(frame["majority_n"]) == set(frame["frequent_n"]) == {2} and set(frame["rare_n"]) == {8}
    assert list(frame["majority_percent"]) == list(frame["frequent_percent"]) == [100] * 5
    assert list(frame["rare_percent"]) == pytest.approx([12.5, 25, 50, 12.5, 50])
    one = frame.loc["One-Stage"]
    assert of(one, "rare_percent") == pytest.approx([100 * value for value in statistics.wilson(2, 8)])
    gains = {  # over the state that each starts from
        "One-Stage": paired("10000000", "01100000"),
        "Two-Stage": paired("01100000", "01101100"),
        "Control of One-Stage: random": paired("10000000", "00100000"),
        "Control of Two-Stage: train_on": paired("01100000", "11100100"),
    }
    for name, points in gains.items():
        assert of(frame.loc[name], "rare_gain_points") == pytest.approx(points), name
        assert frame.loc[name, "majority_gain_points"] == 0
    assert pd.isna(frame.loc["Origin", "rare_gain_points"])
    assert of(one, "majority_said_percent") == pytest.approx([100 * value for value in statistics.wilson(3, 10)])
    assert frame.drop("One-Stage")["majority_said_percent"].tolist() == [0] * 4
    assert set(frame["majority_right_percent"]) == {20} and set(frame["n"]) == {10}


def test_a_majority_answer_below_the_share_is_not_frequent():
    row = guessing("guessing", with_common(), frequent_share=0.25).iloc[0]
    assert (row["majority_n"], row["frequent_n"], row["rare_n"]) == (2, 0, 10)
    assert pd.isna(row["frequent_percent"]) and row["rare_percent"] == pytest.approx(30)


def test_answers_are_those_of_the_chosen_epoch():
    made = with_common()
    answers = made[0, "m", Result(EVALUATION, RUN1)]
    assert set(answers["epoch"]) == {1, 2, 3}
    later = answers.assign(text=answers["text"].mask(answers["epoch"] == 2, "common"))
    made |= {(0, "m", Result(EVALUATION, RUN1)): later}
    assert guessing("guessing", made).set_index("name").loc["One-Stage", "majority_said_percent"] == 0
    made[0, "m", Result(ADAPTER, RUN1)] = {"epoch": 2, "chosen_on": "dev"}
    assert guessing("guessing", made).set_index("name").loc["One-Stage", "majority_said_percent"] == 100


def test_over_seeds_a_seed_without_such_a_fact_is_left_out():
    made = with_common() | with_common(test=(), seed=1)
    frame = guessing("guessing", made, (0, 1)).set_index("name")
    assert set(frame["majority_n"]) == {1} and set(frame["rare_n"]) == {9}
    assert frame.loc["One-Stage", "majority_percent"] == 100 and pd.isna(frame.loc["One-Stage", "majority_percent_low"])
    expected = statistics.mean_interval([12.5, 30])
    assert of(frame.loc["Origin"], "rare_percent") == pytest.approx(
        [expected.value, max(expected.low, 0), min(expected.high, 100)]
    )
    assert set(frame["majority_right_percent"]) == {10}


def test_each_state_by_relation():
    made = saying(with_common(), RUN2, 0, 5)
    facts = made[0, "", Result(FACTS)]
    facts.loc[15:, "relation"] = "a later one"  # of test facts 5 to 9: train has none of it
    frame = guessing("guessing_by_relation", made).set_index(["relation", "name"])
    assert list(frame.index) == [(relation, state) for relation in ("a later one", "r") for state in STATES]
    two = frame.loc[("r", "Two-Stage")]  # 11011 01100
    assert (two["n"], two["rare_n"]) == (5, 3) and of(two, "percent")[0] == pytest.approx(80)
    assert of(two, "rare_percent") == pytest.approx([100 * value for value in statistics.wilson(2, 3)])
    assert two["majority_said_percent"] == pytest.approx(20) and two["majority_right_percent"] == pytest.approx(40)
    other = frame.loc[("a later one", "Two-Stage")]  # has no majority answer
    assert (other["n"], other["rare_n"]) == (5, 5) and other["percent"] == other["rare_percent"] == pytest.approx(40)
    assert other["majority_said_percent"] == other["majority_right_percent"] == 0


@pytest.mark.parametrize(
    ("name", "column"),
    [("guessing", "rare_percent"), ("guessing_by_relation", "rare_percent"), ("claims", "rare_points")],
)
def test_groups_without_a_fact_have_dashes(name, column):
    everything = tuple(range(10))
    frame = guessing(name, with_common(everything, everything))
    text = " ".join(registry.render(name, frame).split())
    assert frame[column].isna().any() and "| – |" in text and "nan" not in text


@pytest.mark.parametrize("damage", ["lacks one", "has one twice"])
def test_answers_that_are_not_those_to_the_test_facts_are_refused(damage):
    made = whole_results()
    answers = made[0, "m", Result(EVALUATION, RUN1)]
    rows = answers["fact_id"] == test_id(3)
    broken = answers[~rows] if damage == "lacks one" else pd.concat([answers, answers[rows]])
    with pytest.raises(
        InputError, match=r"stage1/evaluation/generations\.parquet, key 'fact_id': has .* 10 test facts"
    ):
        guessing("guessing", made | {(0, "m", Result(EVALUATION, RUN1)): broken})
