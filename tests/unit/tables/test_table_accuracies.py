"""The tables of test accuracies: stages, rounds, longer trainings, strategies, controls, replay, scoring rules, chance."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.knowledge.categories import FULL
from gradual.knowledge.scoring import MEASURES
from gradual.study.result_files import ADAPTER, CATEGORIES, CHANCE, FACTS, GRADES, SELECTION, Result
from gradual.tables import registry
from gradual.tables.spec import Results
from made_up import (
    ORIGIN,
    RUN1,
    RUN2,
    STRATEGIES,
    evaluation,
    fact_table,
    facts_of,
    full,
    is_right,
    probe,
    study,
    test_id,
    whole_results,
    whole_study,
)

STAGES = {ORIGIN: {0: 30}, RUN1: {1: 33}, RUN2: {1: 40}}


def stages(made: Results, seeds: tuple[int, ...] = (0,), **other: Any) -> pd.DataFrame:
    """Table 7, by stage."""
    facts = {(seed, "", Result(FACTS)): fact_table(3, 100) for seed in seeds}
    return registry.TABLES["table_07"].build(facts | made, study(seeds, **other)).set_index("name")


def whole(name: str, seeds: tuple[int, ...] = (0,), made: Results | None = None, **other: Any) -> pd.DataFrame:
    """A table of the whole study that was made up by hand, the same for every seed unless told."""
    found: Results = {}
    for seed in seeds:
        found |= whole_results(seed)
    return registry.TABLES[name].build(found | (made or {}), whole_study(seeds, **other))


def paired(before: str, after: str) -> list[float]:
    """The difference of two texts of right and wrong in points, with its interval."""
    found = statistics.paired_difference(np.array(is_right(before, 0)), np.array(is_right(after, 0)))
    return [100 * value for value in found]


def of(row: pd.Series, name: str) -> list[float]:
    """A number of a row, with its interval."""
    return [row[name], row[f"{name}_low"], row[f"{name}_high"]]


# Table 7


def test_table_7_at_the_chosen_epoch_and_at_the_best():
    frame = stages(evaluation({"origin": {0: 30}, RUN1: {1: 33, 2: 35}, RUN2: {1: 40, 2: 38}}))
    assert list(frame.index) == ["Majority answer", "Origin", "One-Stage", "Two-Stage"]
    frame = frame[1:]
    assert list(frame["percent"]) == pytest.approx([30, 33, 40])
    assert list(frame["max_over_epochs_percent"]) == pytest.approx([30, 35, 40])
    assert list(frame["final_percent"]) == pytest.approx([30, 35, 38])
    assert list(frame["epoch"]) == ["0", "1", "1"] and list(frame["max_epoch"]) == ["0", "2", "1"]
    assert list(frame["paper_percent"]) == [29.93, 32.98, 33.80]
    assert list(frame["paper_gain_points"][1:]) == [3.05, 0.82]
    assert list(frame["gain_points"][1:]) == pytest.approx([3, 7])
    # Three facts gained, none lost: 2 * 0.5 ** 3.
    assert frame.loc["One-Stage", "mcnemar_p"] == pytest.approx(0.25)
    wilson = statistics.wilson(30, 100)
    assert frame.loc["Origin", "percent_low"] == pytest.approx(100 * wilson.low)
    assert pd.isna(frame.loc["Origin", "gain_points"])


def test_table_7_over_seeds():
    made = evaluation(STAGES)
    made |= evaluation({"origin": {0: 32}, RUN1: {1: 37, 2: 35}, RUN2: {1: 40}}, epochs={RUN1: 2}, seed=1)
    frame = stages(made, (0, 1))
    assert frame.loc["One-Stage", "percent"] == pytest.approx(34)
    assert frame.loc["One-Stage", "gain_points"] == pytest.approx(3)
    assert frame.loc["One-Stage", "epoch"] == "1 2"
    assert frame.loc["Two-Stage", "gain_points_low"] < 6 < frame.loc["Two-Stage", "gain_points_high"]
    assert frame["mcnemar_p"].isna().all()
    assert frame.loc["One-Stage", "max_over_epochs_percent"] == pytest.approx(35)


def test_below_the_stages_of_table_7_stand_their_controls():
    frame = whole("table_07").set_index("name")
    controls = ["Control of One-Stage: random", "Control of Two-Stage: train_on"]
    assert list(frame.index) == ["Majority answer", "Origin", "One-Stage", "Two-Stage", *controls]
    assert list(frame.loc[controls, "percent"]) == pytest.approx([30, 60])
    # The first over the origin, the second over stage 1.
    assert of(frame.loc[controls[0]], "gain_points") == pytest.approx(paired("1110000000", "1100100000"))
    assert of(frame.loc[controls[1]], "gain_points") == pytest.approx(paired("1101100000", "1111100100"))
    assert frame.loc[controls, ["paper_percent", "paper_gain_points"]].isna().all(axis=None)
    stages_alone = whole("table_07", one_stage_controls=(), two_stage_controls=()).set_index("name")
    assert frame.iloc[:4].equals(stages_alone[frame.columns])  # whose own rows stay as they were


def test_the_controls_of_table_7_over_seeds():
    made = evaluation({"random": {1: "1111110000"}, "train_on": {1: "1101100000"}}, seed=1)
    frame = whole("table_07", (0, 1), made).set_index("name")
    for control, gains in (("One-Stage: random", [0, 30]), ("Two-Stage: train_on", [20, 0])):
        expected = statistics.mean_interval(gains)
        row = frame.loc[f"Control of {control}"]
        limited = [expected.value, max(expected.low, -100), min(expected.high, 100)]
        assert of(row, "gain_points") == pytest.approx(limited) and pd.isna(row["mcnemar_p"])


@pytest.mark.parametrize(
    ("other", "controls"),
    [
        ({"runs": (RUN1, RUN2, "train_on")}, ["Two-Stage: train_on"]),
        ({"runs": (RUN1, RUN2, "random")}, ["One-Stage: random"]),
        ({"runs": (RUN1, RUN2)}, []),
        ({"one_stage_controls": ("strategy1", "random")}, ["One-Stage: strategy1", "Two-Stage: train_on"]),  # the first
        ({"one_stage_controls": ("absent", "random")}, ["Two-Stage: train_on"]),  # the second does not stand in for it
        ({"one_stage_controls": (), "two_stage_controls": ()}, []),
    ],
)
def test_a_control_that_is_not_there_has_no_row_in_table_7(other, controls):
    assert list(whole("table_07", **other)["name"][4:]) == [f"Control of {control}" for control in controls]


def test_table_7_refuses_results_that_disagree():
    made = evaluation(STAGES)
    with pytest.raises(InputError, match=r"chosen\.json, key 'chosen_on'.*'dev'; expected 'test'"):
        stages(made, choose_on="test")
    with pytest.raises(InputError, match="key 'exact'"):
        stages(made, scoring="exact")
    wrong = made | {(0, "m", Result(ADAPTER, RUN1)): {"epoch": 9, "chosen_on": "dev"}}
    with pytest.raises(InputError, match="chosen epoch 9"):
        stages(wrong)
    grades = made[0, "m", Result(GRADES, RUN1)]
    with pytest.raises(InputError, match="33 of 100, as in accuracy.csv"):
        stages(made | {(0, "m", Result(GRADES, RUN1)): grades[1:]})
    renamed = grades.assign(fact_id=[test_id(i) for i in range(1000, 1100)])
    with pytest.raises(InputError, match="the test facts of stage1 are not those of origin"):
        stages(made | {(0, "m", Result(GRADES, RUN1)): renamed})


# What answering without a model would score


def test_the_majority_answer_is_a_row_of_table_7():
    made = evaluation({state: {int(state != ORIGIN): "111000"} for state in (ORIGIN, RUN1, RUN2)})
    made |= evaluation({state: {int(state != ORIGIN): "111000"} for state in (ORIGIN, RUN1, RUN2)}, seed=1)
    one = facts_of(("train", "r", "x"), ("test", "r", "x"), ("test", "r", "x"), ("test", "r", "y"), ("test", "r", "y"))
    two = facts_of(("train", "r", "x"), ("test", "r", "x"), ("test", "r", "y"), ("test", "r", "y"), ("test", "r", "y"))
    made |= {(0, "", Result(FACTS)): one, (1, "", Result(FACTS)): two}
    row = registry.TABLES["table_07"].build(made, study()).iloc[0]
    wilson = statistics.wilson(2, 4)
    assert of(row, "percent") == pytest.approx([50, 100 * wilson.low, 100 * wilson.high])
    assert row["n"] == 4 and pd.isna(row["paper_percent"]) and pd.isna(row["gain_points"])
    over = registry.TABLES["table_07"].build(made, study((0, 1))).iloc[0]
    assert over["percent"] == pytest.approx(37.5)
    with pytest.raises(InputError, match="no test facts"):
        registry.TABLES["table_07"].build(made | {(0, "", Result(FACTS)): one[:1]}, study())


# Table 11


def test_table_11_has_a_row_per_round_and_gains_over_the_one_before():
    frame = whole("table_11").set_index("name")
    assert list(frame.index) == ["One-Stage", "Two-Stage", "Multi-Rounds (3)"]
    assert list(frame["percent"]) == pytest.approx([40, 60, 50])
    assert list(frame["gain_points"][1:]) == pytest.approx([20, -10]) and pd.isna(frame["gain_points"].iloc[0])
    assert list(frame["paper_percent"]) == [32.98, 33.80, 33.79]
    assert list(frame["paper_gain_points"][1:]) == [0.82, -0.01]
    third = of(frame.loc["Multi-Rounds (3)"], "gain_points")
    assert third == pytest.approx(paired("1101101100", "1101101000"))


def test_the_papers_rounds_stand_beside_our_third_alone():
    frame = whole("table_11", rounds=("round3", "train_on")).set_index("name")
    assert frame.loc["Multi-Rounds (3)", "paper_percent"] == 33.79
    fourth = frame.loc["Multi-Rounds (4)"]
    assert pd.isna(fourth["paper_percent"]) and pd.isna(fourth["paper_gain_points"])
    assert of(fourth, "gain_points") == pytest.approx(paired("1101101000", "1111100100"))


# Table 6


def test_table_6_at_the_peak_and_at_the_end():
    frame = whole("table_06").set_index("name")
    assert list(frame.index) == ["10", "25"]
    assert list(frame["max_over_epochs_percent"]) == pytest.approx([50, 70])
    assert list(frame["final_percent"]) == pytest.approx([30, 20])
    assert list(frame["percent"]) == pytest.approx([40, 50])
    assert list(frame["paper_percent"]) == [32.98, 32.99] and list(frame["paper_final_percent"]) == [32.74, 30.50]
    assert pd.isna(frame.loc["10", "final_change_points"])
    assert of(frame.loc["25"], "final_change_points") == pytest.approx(paired("1101000000", "1000100000"))


def test_table_6_over_seeds_and_in_any_order():
    other = evaluation({RUN1: {1: "1111111100", 2: "1111100000"}, "stage1_25": {1: "1110000000"}}, seed=1)
    turned = {"stage1_25": 25, RUN1: 10}
    frame = whole("table_06", (0, 1), other, longer=turned).set_index("name")
    assert list(frame.index) == ["25", "10"]
    assert frame.loc["10", "max_over_epochs_percent"] == pytest.approx((50 + 80) / 2)
    assert frame.loc["10", "final_percent"] == pytest.approx((30 + 50) / 2)
    expected = statistics.mean_interval([-10, -20])
    assert of(frame.loc["25"], "final_change_points") == pytest.approx(
        [expected.value, max(expected.low, -100), min(expected.high, 100)]
    )
    assert pd.isna(frame.loc["10", "final_change_points"])


def test_table_6_refuses_runs_of_other_test_facts():
    made = whole_results()
    grades = made[0, "m", Result(GRADES, "stage1_25")]
    ids = {test_id(i): test_id(i + 5) for i in range(10)}
    made[0, "m", Result(GRADES, "stage1_25")] = grades.assign(fact_id=grades["fact_id"].map(ids))
    with pytest.raises(InputError, match="the test facts of stage1_25 are not those of stage1"):
        registry.TABLES["table_06"].build(made, whole_study())


# Tables 8 and 9


def test_table_8_by_hand():
    frame = whole("table_08").set_index("name")
    assert list(frame.index) == ["One-Stage", "Strategy 1", "Strategy 4", "Strategy 5"]
    assert list(frame["percent"]) == pytest.approx([40, 30, 50, 60])
    assert list(frame["gain_points"][1:]) == pytest.approx([-10, 10, 20])
    assert list(frame["paper_percent"]) == [32.98, 33.62, 33.62, 33.80]
    assert list(frame["paper_gain_points"][1:]) == [0.64, 0.64, 0.82]
    assert frame.loc["Strategy 5", "mcnemar_p"] == pytest.approx(0.5)  # two facts gained, none lost: 2 * 0.5 ** 2
    assert pd.isna(frame.loc["One-Stage", "gain_points"])


def test_a_strategy_that_the_paper_does_not_have():
    frame = whole("table_08", strategies=("train_on",)).set_index("name")
    assert frame.loc["train_on", "percent"] == pytest.approx(60) and pd.isna(frame.loc["train_on", "paper_percent"])
    by_category = whole("table_09", strategies=("train_on",))
    assert by_category.loc[by_category["name"] == "train_on", "paper_percent"].isna().all()


def test_table_9_by_hand():
    frame = whole("table_09").set_index(["name", "type"])
    assert len(frame) == (1 + len(STRATEGIES)) * 4
    # The origin knows the test facts as HHHMMWUUUU.
    assert list(frame.loc["One-Stage", "percent"]) == pytest.approx([100 * 2 / 3, 100, 0, 0])
    assert list(frame.loc["Strategy 5", "percent"]) == pytest.approx([100 * 2 / 3, 100, 0, 50])
    assert list(frame.loc["Strategy 4", "percent"]) == pytest.approx([100, 100, 0, 0])
    assert list(frame.loc["Strategy 5", "n"]) == [3, 2, 1, 4]
    assert of(frame.loc["Strategy 5", "Unknown"], "gain_points") == pytest.approx(paired("0000", "1100"))
    assert of(frame.loc["Strategy 4", "HighlyKnown"], "gain_points") == pytest.approx(paired("110", "111"))
    wilson = statistics.wilson(2, 4)
    found = of(frame.loc["Strategy 5", "Unknown"], "percent")
    assert found == pytest.approx([50, 100 * wilson.low, 100 * wilson.high])
    assert list(frame.loc["One-Stage", "paper_percent"]) == [85.03, 56.90, 18.38, 1.62]
    assert list(frame.loc["Strategy 4", "paper_gain_points"]) == [1.56, -0.55, 1.52, 0.51]
    assert frame.loc["One-Stage", ["gain_points", "paper_gain_points"]].isna().all(axis=None)


def test_table_9_adds_up_to_table_8():
    overall, frame = whole("table_08").set_index("name"), whole("table_09")
    right = (frame["percent"] * frame["n"]).groupby(frame["name"]).sum()
    assert (right / 10).to_dict() == pytest.approx(overall["percent"].to_dict())


def test_table_9_over_seeds_leaves_out_a_seed_without_such_facts():
    made: Results = {(1, "m", Result(CATEGORIES, ORIGIN, 0, "test")): probe(full("HHHMMMUUUU"), "test")}
    frame = whole("table_09", (0, 1), made).set_index(["name", "type"])
    weak = frame.loc["Strategy 5", "WeaklyKnown"]
    # One seed alone has a WeaklyKnown fact: no interval over seeds.
    assert weak["percent"] == 0 and pd.isna(weak["percent_low"]) and pd.isna(weak["gain_points_low"])
    maybe = frame.loc["Strategy 5", "MaybeKnown"]
    assert maybe["percent"] == pytest.approx(100 * (1 + 2 / 3) / 2) and maybe["n"] == 2.5
    nobody = {(0, "m", Result(CATEGORIES, ORIGIN, 0, "test")): probe(full("HHHMMMUUUU"), "test")}
    frame = whole("table_09", made=nobody).set_index(["name", "type"])
    weak = frame.loc["Strategy 5", "WeaklyKnown"]
    assert pd.isna(weak["percent"]) and pd.isna(weak["gain_points"]) and weak["n"] == 0


def test_table_9_refuses_an_evaluation_of_other_test_facts():
    made = whole_results()
    for run in (RUN1, *STRATEGIES):
        grades = made[0, "m", Result(GRADES, run)]
        ids = {test_id(i): test_id(i + 5) for i in range(10)}
        made[0, "m", Result(GRADES, run)] = grades.assign(fact_id=grades["fact_id"].map(ids))
    with pytest.raises(InputError, match="f00000000000000a is not among the facts of the study"):
        registry.TABLES["table_09"].build(made, whole_study())


# Controls and replay


def test_controls_stand_beside_their_stage():
    frame = whole("controls")
    assert list(zip(frame["stage"], frame["name"], strict=True)) == [
        ("One-Stage", RUN1),
        ("One-Stage", "random"),
        ("Two-Stage", RUN2),
        ("Two-Stage", "train_on"),
    ]
    assert list(frame["trained_on"]) == [2, 2, 4, 2]
    assert list(frame["gain_points"]) == pytest.approx([10, 0, 20, 20])  # over origin, and over stage1
    assert frame["stage_over_control_points"].isna().to_list() == [True, False, True, False]
    assert of(frame.iloc[1], "stage_over_control_points") == pytest.approx(paired("1100100000", "1101100000"))
    assert of(frame.iloc[3], "stage_over_control_points") == pytest.approx(paired("1111100100", "1101101100"))


def test_controls_over_seeds():
    made = evaluation({"random": {1: "0000000000"}}, seed=1)
    made[1, "m", Result(SELECTION, "random")] = pd.DataFrame({"fact_id": list("abc"), "role": ["train"] * 3})
    frame = whole("controls", (0, 1), made).set_index("name")
    expected = statistics.mean_interval([10, 40])
    assert of(frame.loc["random"], "stage_over_control_points") == pytest.approx(
        [25, max(expected.low, -100), min(expected.high, 100)]
    )
    assert frame.loc["random", "trained_on"] == 2.5 and pd.isna(frame.loc["random", "mcnemar_p"])


def test_a_control_that_the_model_lacks_has_no_row():
    made = whole_study(runs=(RUN1, RUN2, "train_on"))
    frame = registry.TABLES["controls"].build(whole_results(), made)
    assert list(frame["name"]) == [RUN1, RUN2, "train_on"]


def test_replay_has_a_row_per_ratio():
    frame = whole("replay")
    assert list(zip(frame["name"], frame["ratio"], strict=True)) == [("strategy4", 0), ("replay10", 0.1), (RUN2, 0.2)]
    assert list(frame["gain_points"]) == pytest.approx([10, 10, 20])  # over stage1
    assert of(frame.iloc[2], "gain_points") == pytest.approx(paired("1101100000", "1101101100"))
    assert list(frame["trained_on"]) == [4, 4, 4]


# Scoring rules and chance


def test_scoring_rules_side_by_side():
    made: Results = {}
    grades = whole_results()[0, "m", Result(GRADES, RUN2)]
    made[0, "m", Result(GRADES, RUN2)] = grades.assign(exact=grades["fact_id"].isin([test_id(0), test_id(9)]))
    frame = whole("scoring", made=made).set_index("name")
    assert list(frame.index) == list(MEASURES)
    row = frame.loc["substring"]
    assert [row[name] for name in FULL] == pytest.approx([0.2, 0.2, 0.3, 0.3])
    assert [row[stage] for stage in ("Origin", "One-Stage", "Two-Stage")] == pytest.approx([30, 40, 60])
    assert of(row, "One-Stage gain_points") == pytest.approx(paired("1110000000", "1101100000"))
    assert of(row, "Two-Stage gain_points") == pytest.approx(paired("1101100000", "1101101100"))
    exact = frame.loc["exact"]
    assert [exact[name] for name in FULL] == [0, 0, 0, 1]
    assert [exact[stage] for stage in ("Origin", "One-Stage", "Two-Stage")] == pytest.approx([0, 0, 20])
    assert of(exact, "Two-Stage gain_points") == pytest.approx(paired("0000000000", "1000000001"))


def test_token_f1_stands_below_the_rules_with_a_mean_and_a_gain_and_no_categories():
    values = {RUN1: [0.5] * 5 + [0.0] * 5, RUN2: [1.0] * 5 + [0.2] * 5}
    made: Results = {}
    for state, f1 in values.items():
        grades = whole_results()[0, "m", Result(GRADES, state)]
        chosen = grades.loc[(grades["split"] == "test"), "fact_id"].unique()
        made[0, "m", Result(GRADES, state)] = grades.assign(
            token_f1=grades["fact_id"].map(dict(zip(sorted(chosen), f1, strict=True)))
        )
    frame = whole("scoring", made=made)
    row = frame.set_index("name").loc["token_f1"]
    assert row["One-Stage"] == pytest.approx(25) and row["Two-Stage"] == pytest.approx(60)
    difference = statistics.mean_interval([0.5] * 5 + [0.2] * 5)
    assert of(row, "Two-Stage gain_points") == pytest.approx([100 * number for number in difference])
    assert row[list(FULL)].isna().all()
    assert "| mean token F1" in registry.render("scoring", frame)


def test_a_table_of_scoring_rules_that_was_made_without_token_f1_is_shown_as_it_was():
    frame = whole("scoring")
    older = frame[frame["name"] != "token_f1"]
    assert registry.render("scoring", older) == "".join(
        line for line in registry.render("scoring", frame).splitlines(keepends=True) if "token F1" not in line
    )


def test_scoring_over_seeds():
    made = evaluation({RUN1: {1: "1111110000"}}, seed=1)
    grades = made[1, "m", Result(GRADES, RUN1)]
    made[1, "m", Result(GRADES, RUN1)] = grades.assign(**{rule: False for rule in MEASURES if rule != "substring"})
    row = whole("scoring", (0, 1), made).iloc[0]
    assert row["One-Stage"] == pytest.approx(50) and row["One-Stage gain_points"] == pytest.approx((10 + 30) / 2)
    assert row["Two-Stage gain_points"] == pytest.approx((20 + 0) / 2)


def test_chance_rates_are_weighted_by_facts():
    second = pd.DataFrame({"relation": ["a"], "facts": [8], "weakly_known": [2], "chance": [0.5]})
    one = whole("chance").set_index("relation")
    assert list(one.index) == ["a", "b", "all"]
    assert list(one["facts"]) == [4, 2, 4] and list(one["count"]) == [2, 1, 2]  # b has no chance rate
    assert list(one["share"]) == pytest.approx([0.5, 0.5, 0.5])
    assert one.loc["a", "chance"] == 0.25 and pd.isna(one.loc["b", "chance"])
    assert one.loc["all", "chance"] == 0.25
    two = whole("chance", (0, 1), {(1, "m", Result(CHANCE)): second}).set_index("relation")
    assert two.loc["a", "facts"] == 6 and two.loc["a", "count"] == 2
    assert two.loc["a", "share"] == pytest.approx(4 / 12)
    assert two.loc["a", "chance"] == pytest.approx((4 * 0.25 + 8 * 0.5) / 12)
    assert two.loc["all", "facts"] == 6 and two.loc["all", "share"] == pytest.approx(4 / 12)


def test_chance_without_any_unsolved_fact():
    nothing = pd.DataFrame({"relation": [], "facts": [], "weakly_known": [], "chance": []})
    frame = whole("chance", made={(0, "m", Result(CHANCE)): nothing})
    assert list(frame["relation"]) == ["all"] and frame["facts"].iloc[0] == 0
    assert pd.isna(frame["share"].iloc[0]) and pd.isna(frame["chance"].iloc[0])
