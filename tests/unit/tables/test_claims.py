"""The claims: verdicts at their boundaries, and every effect against numbers worked out by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradual.ground import statistics
from gradual.ground.statistics import Estimate
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.tables import registry
from gradual.tables.gradual_learning import claims
from gradual.tables.gradual_learning.roles import Study
from gradual.tables.spec import Results
from gradual.tables.verdicts import FALLS, NO_RISE, NOT, RISES, SHOWS, STAYS, UNDECIDED, Claim, verdict
from made_up import ORIGIN, RUN1, RUN2, RUNS, evaluation, fact_table, full, greedy, probe, whole_results, whole_study

MARGIN = 0.005
KEYS = {  # how a claim's text begins
    "stage1": "Stage 1 lifts",
    "untrained": "Facts that stage 1 does not train on",
    "highly": "HighlyKnown grows",
    "longer": "Longer training overfits",
    "graph": "The graph connects",
    "stage2": "Stage 2 lifts",
    "best": "Strategy 5 is best",
    "keeps": "Stage 2 keeps",
    "growth": "Stage 2 adds to HighlyKnown",
    "round": "A third round",
}


def claimed(made: Results | None = None, study: Study | None = None) -> dict[str, Claim]:
    """The claims of the study that was made up by hand, by key."""
    found = list(claims.claims(whole_results() if made is None else made, study or whole_study(), "m"))
    named = {key: claim for claim in found for key, text in KEYS.items() if claim.text.startswith(text)}
    assert len(named) == len(found)
    return named


def rows(made: Results | None = None, study: Study | None = None) -> pd.DataFrame:
    """The table of claims, by key."""
    frame = registry.TABLES["claims"].build(whole_results() if made is None else made, study or whole_study())
    key = [next(key for key, text in KEYS.items() if claim.startswith(text)) for claim in frame["claim"]]
    return frame.assign(key=key).set_index("key")


def paired(gained: int, lost: int, n: int) -> list[float]:
    """Agresti and Min's interval by hand: half a fact is added to each of the four cells."""
    centre = (gained - lost) / (n + 2)
    reach = 1.959964 * math.sqrt(((gained + lost + 1) / (n + 2) - centre**2) / (n + 2))
    return [(gained - lost) / n, max(centre - reach, -1), min(centre + reach, 1)]


def close(expected: list[float]) -> Any:
    return pytest.approx(expected, abs=1e-6, nan_ok=True)


# Verdicts


@pytest.mark.parametrize(
    ("direction", "low", "high", "expected"),
    [
        (RISES, 0.001, 0.1, SHOWS),
        (RISES, 0.001, 0.004, SHOWS),  # within the margin, but above zero throughout
        (RISES, 0, 0.1, UNDECIDED),
        (RISES, -0.1, 0.1, UNDECIDED),
        (RISES, -0.1, MARGIN, UNDECIDED),
        (RISES, -0.1, 0.0049, NOT),
        (RISES, -0.2, -0.1, NOT),
        (FALLS, -0.1, -0.001, SHOWS),
        (FALLS, -0.1, 0, UNDECIDED),
        (FALLS, -MARGIN, 0.1, UNDECIDED),
        (FALLS, -0.0049, 0.1, NOT),
        (FALLS, 0.1, 0.2, NOT),
        (STAYS, -0.0049, 0.1, SHOWS),
        (STAYS, -0.004, -0.001, SHOWS),  # falls, but by as good as nothing
        (STAYS, -MARGIN, 0.1, UNDECIDED),
        (STAYS, -0.1, 0, UNDECIDED),
        (STAYS, -0.1, 0.1, UNDECIDED),
        (STAYS, -0.1, -0.001, NOT),
        (NO_RISE, -0.1, 0.0049, SHOWS),
        (NO_RISE, 0.001, 0.004, SHOWS),
        (NO_RISE, -0.1, MARGIN, UNDECIDED),
        (NO_RISE, 0, 0.1, UNDECIDED),
        (NO_RISE, -0.1, 0.1, UNDECIDED),
        (NO_RISE, 0.001, 0.1, NOT),
    ],
)
def test_a_verdict_for_every_region(direction, low, high, expected):
    assert verdict(Estimate((low + high) / 2, low, high), direction, MARGIN) == expected


@pytest.mark.parametrize("direction", [RISES, FALLS, STAYS, NO_RISE])
@pytest.mark.parametrize("ends", [(math.nan, 1.0), (-1.0, math.nan), (math.nan, math.nan)])
def test_without_an_interval_nothing_is_decided(direction, ends):
    assert verdict(Estimate(0.5, *ends), direction, MARGIN) == UNDECIDED


def test_without_a_margin_an_effect_that_is_not_there_must_be_negative_to_be_refused():
    assert verdict(Estimate(-0.1, -0.2, 0.0), RISES, 0.0) == UNDECIDED
    assert verdict(Estimate(-0.1, -0.2, -0.001), RISES, 0.0) == NOT


# Effects, by hand: the letters are in made_up.py


def test_stage_1_lifts_accuracy():
    claim = claimed()["stage1"]
    # origin 1110000000, stage1 1101100000: two gained, one lost; random 1100100000: one gained, one lost.
    assert list(claim.effect) == close(paired(2, 1, 10))
    assert (claim.control, list(claim.control_effect)) == ("random", close(paired(1, 1, 10)))
    assert list(claim.net) == close(paired(1, 0, 10))
    assert claim.paper == pytest.approx(0.0305) and claim.direction == RISES and not claim.beyond


def test_stage_2_lifts_accuracy_further():
    claim = claimed()["stage2"]
    # stage1 1101100000, strategy5 1101101100, train_on 1111100100.
    assert list(claim.effect) == close(paired(2, 0, 10))
    assert (claim.control, list(claim.control_effect)) == ("train_on", close(paired(2, 0, 10)))
    assert list(claim.net) == close(paired(1, 1, 10))
    assert claim.paper == pytest.approx(0.0082)


def test_untrained_facts_improve_beyond_noise():
    claim = claimed()["untrained"]
    # Six facts are W or U at origin: WWWUUU become MWMUHU, in the re-probe WMWUUU.
    assert claim.effect.value == 3 / 6 and claim.control_effect.value == 1 / 6
    assert list(claim.effect) == close(list(statistics.wilson(3, 6)))
    # The first, third and fifth rise by training alone, the second in the re-probe alone.
    assert list(claim.net) == close(paired(3, 1, 6))
    assert claim.beyond and claim.control == "re-probe"
    assert claim.paper == pytest.approx((4889 + 3091 + 1932 + 527) / (25986 + 71855))


def test_highly_known_grows():
    claim = claimed()["highly"]
    # HHMMWWWUUU has two, HHHMMWMUHU four, the re-probe HMMHWMWUUU two, of which one is another.
    assert list(claim.effect) == close(paired(2, 0, 10))
    assert list(claim.control_effect) == close(paired(1, 1, 10))
    assert list(claim.net) == close(paired(3, 1, 10))
    assert claim.paper == pytest.approx((49_959 - 34_426) / 169_164)


def test_longer_training_overfits():
    claim = claimed()["longer"]
    # At the end 1101000000 against 1000100000; at the chosen epochs 1101100000 against 1101110000.
    assert list(claim.effect) == close(paired(1, 2, 10)) and claim.direction == FALLS
    assert list(claim.control_effect) == close(paired(1, 0, 10))
    assert claim.paper == pytest.approx(-0.0224)
    assert "at the end of 25 epochs against 10" in claim.text
    turned = claimed(study=whole_study(longer={"stage1_25": 25, RUN1: 10}))["longer"]
    assert turned.effect == claim.effect and turned.paper == claim.paper


@pytest.mark.parametrize(
    ("lengths", "printed"),
    [
        ({RUN1: 10, "stage1_25": 25}, 30.50 - 32.74),
        ({RUN1: 10, "stage1_25": 20}, 30.73 - 32.74),
        ({RUN1: 15, "stage1_25": 25}, 30.50 - 31.21),
        ({"stage1_25": 20, "random": 10, RUN1: 15}, 30.73 - 32.74),  # in any order
        ({RUN1: 10, "stage1_25": 40}, None),
        ({RUN1: 3, "stage1_25": 25}, None),
        ({RUN1: 3, "random": 10, "stage1_25": 40}, None),  # the paper has a length between them only
    ],
)
def test_beside_longer_training_stand_the_papers_numbers_of_the_same_lengths(lengths, printed):
    claim = claimed(study=whole_study(longer=lengths))["longer"]
    order = sorted(lengths.values())
    assert f"at the end of {order[-1]} epochs against {order[0]}" in claim.text
    assert claim.paper == (None if printed is None else pytest.approx(printed / 100))


def test_the_best_strategy_is_held_against_the_best_other():
    claim = claimed()["best"]
    # strategy1 has 3 right and strategy4 5: 1111100000 against 1101101100.
    assert "(Strategy 4)" in claim.text
    assert list(claim.effect) == close(paired(2, 1, 10))
    assert claim.paper == pytest.approx(0.0018) and claim.margin == 0


def test_stage_2_keeps_what_was_highly_known():
    claim = claimed()["keeps"]
    # The first three test facts: stage1 110, strategy5 110, train_on 111.
    assert list(claim.effect) == close(paired(0, 0, 3)) and claim.direction == STAYS
    assert list(claim.control_effect) == close(paired(1, 0, 3))
    assert list(claim.net) == close(paired(0, 1, 3))
    assert claim.paper == pytest.approx(0.8694 - 0.8503)


def test_stage_2_adds_a_share_of_what_stage_1_added():
    claim = claimed()["growth"]
    # HighlyKnown at origin 2, stage1 4, strategy5 5, train_on 3.
    assert claim.effect.value == (5 - 4) / (4 - 2)
    assert claim.control_effect.value == (3 - 4) / (4 - 2)
    assert claim.text == "Stage 2 adds to HighlyKnown (share of what stage 1 added; 24% in the paper)"
    assert claim.net.value == 1
    assert claim.paper == pytest.approx(0.2403, abs=1e-4)
    # Ten facts drawn from ten: some draws have no growth in stage 1, so there is no interval.
    assert math.isnan(claim.effect.low)


def test_the_growth_has_a_bootstrapped_interval_where_it_is_defined():
    claim = claimed(whole_results(times=40))["growth"]
    rng = np.random.default_rng(1)
    table = np.array([[letter == "H" for letter in text * 40] for text in ("HHMMWWWUUU", "HHHMMWMUHU", "HHHHMWMUHU")])
    ratios = []
    for _ in range(2000):
        origin, one, two = table[:, rng.integers(400, size=400)].sum(axis=1)
        ratios.append((two - one) / (one - origin))
    assert claim.effect.value == 0.5
    assert [claim.effect.low, claim.effect.high] == pytest.approx(list(np.percentile(ratios, [2.5, 97.5])), abs=0.03)


def test_a_third_round_adds_nothing():
    claim = claimed()["round"]
    assert list(claim.effect) == close(paired(0, 1, 10)) and claim.direction == NO_RISE
    assert claim.paper == pytest.approx(-0.0001) and claim.control == ""


def test_a_model_beside_which_the_paper_has_no_numbers():
    study = whole_study()
    study.models["m"] = type(study.models["m"])("other", None, RUNS)
    assert {claim.paper for claim in claimed(study=study).values()} == {None}


# The graph: in one relation the answers of WeaklyKnown facts are those of MaybeKnown ones, in the other they are new.


def graph_results(risen: str, seed: int = 0) -> Results:
    """Twenty MaybeKnown facts, then ten WeaklyKnown ones whose answers are theirs, then ten with answers of their own."""
    facts = fact_table(40, 10)
    for i in range(20, 30):
        facts.at[i, "answers"] = facts.at[i - 20, "answers"]
    made = whole_results(seed)
    made[seed, "", Result(FACTS)] = facts
    for key in [key for key in made if key[0] == seed and key[2].kind == CATEGORIES and key[2].questions == "train"]:
        made[key] = probe(greedy("M" * 20 + "U" * 20))
    made[seed, "m", Result(CATEGORIES)] = probe(full("M" * 20 + "W" * 20))
    made[seed, "m", Result(CATEGORIES, RUN1)] = probe(greedy("M" * 20 + risen))
    return made


def test_the_graph_claim_by_hand():
    claim = claimed(graph_results("M" * 10 + "U" * 10))["graph"]
    # Ten subjects, all linked by their answers.
    assert claim.effect.value == 1 and claim.beyond and math.isnan(claim.effect.low)
    # Of ten facts drawn from twenty five are linked on average; the unlinked have two nodes each: about 5 of 15.
    assert claim.control_effect.value == pytest.approx(1 / 3, abs=0.02)
    assert claim.net.value == pytest.approx(1 - claim.control_effect.value)
    assert 0 < claim.net.low < claim.net.value < claim.net.high < 1
    assert claim.paper == pytest.approx(3968 / 5121)
    assert rows(graph_results("M" * 10 + "U" * 10)).loc["graph", "verdict"] == SHOWS
    assert rows(graph_results("U" * 10 + "M" * 10)).loc["graph", "verdict"] == NOT
    assert rows(graph_results("MMMUUUUUUU" + "MMMUUUUUUU")).loc["graph", "verdict"] == UNDECIDED


def test_the_graph_claim_over_seeds():
    made = graph_results("M" * 10 + "U" * 10) | graph_results("M" * 10 + "U" * 9 + "M", seed=1)
    claim = claimed(made, whole_study((0, 1)))["graph"]
    # Ten of twelve nodes are linked in the second seed.
    expected = statistics.mean_interval([1, 10 / 12])
    assert list(claim.effect) == close(list(expected))
    assert claim.net.value == pytest.approx(claim.effect.value - claim.control_effect.value)


def test_a_graph_without_risen_facts_decides_nothing():
    row = rows(graph_results("U" * 20)).loc["graph"]
    assert row["verdict"] == UNDECIDED and pd.isna(row["effect_points"]) and pd.isna(row["net_points"])


# Verdicts in the table


def test_verdicts_are_on_the_effect_but_for_claims_beyond_noise():
    # The re-probe moves as many untrained facts as training does, and as many others become HighlyKnown.
    noisy = {(ORIGIN, 1): "HHHMMWMUHU"}
    frame = rows(whole_results(times=100, train=noisy))
    untrained, highly = frame.loc["untrained"], frame.loc["highly"]
    assert untrained["effect_points_low"] > 0 and untrained["net_points"] == 0
    assert untrained["verdict"] == untrained["verdict_against_control"] != SHOWS
    assert highly["verdict"] == SHOWS and highly["verdict_against_control"] != SHOWS
    quiet = rows(whole_results(times=100)).loc["untrained"]
    assert quiet["verdict"] == quiet["verdict_against_control"] == SHOWS


def test_the_table_is_in_points():
    frame = rows(whole_results(times=100))
    row = frame.loc["stage2"]
    assert [row["effect_points"], row["control_points"], row["net_points"]] == pytest.approx([20, 20, 0])
    assert row["effect_points_low"] == pytest.approx(100 * paired(200, 0, 1000)[1], abs=1e-4)
    assert row["paper_points"] == pytest.approx(0.82) and row["margin_points"] == 0.5
    assert row["verdict"] == SHOWS and row["verdict_against_control"] == UNDECIDED
    assert frame.loc["round", "verdict"] == SHOWS and frame.loc["round", "verdict_against_control"] == ""
    assert frame.loc["longer", "verdict"] == SHOWS
    assert frame.loc["growth", "margin_points"] == frame.loc["graph", "margin_points"] == 5
    assert list(frame.index) == list(KEYS)  # the paper's order


# Several seeds


def students(values: list[float]) -> list[float]:
    """The mean of three values with Student's t interval by hand, ends in -1 … 1."""
    assert len(values) == 3
    mean = sum(values) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
    reach = 4.302653 * deviation / math.sqrt(3)
    return [mean, max(mean - reach, -1), min(mean + reach, 1)]


def test_effects_over_seeds_have_students_interval():
    made = whole_results() | whole_results(1) | whole_results(2)
    made |= evaluation({RUN1: {1: "1111110000", 2: "1110000000"}, "random": {1: "1110000000"}}, seed=1)
    found = claimed(made, whole_study((0, 1, 2)))
    assert list(found["stage1"].effect) == close(students([0.1, 0.3, 0.1]))
    assert list(found["stage1"].control_effect) == close(students([0, 0, 0]))
    assert list(found["stage1"].net) == close(students([0.1, 0.3, 0.1]))
    assert list(found["stage2"].effect) == close(students([0.2, 0.0, 0.2]))
    assert list(found["longer"].effect) == close(students([-0.1, -0.1, -0.1]))
    made = whole_results() | whole_results(1) | whole_results(2, train={(RUN2, 0): "HHHHHHMUHU"})
    growth = claimed(made, whole_study((0, 1, 2)))["growth"]
    expected = students([1 / 2, 1 / 2, 3 / 2])
    assert growth.effect.value == pytest.approx(expected[0])
    assert growth.effect.low == pytest.approx(expected[0] - 4.302653 / 3) and growth.effect.high > 1  # a ratio


# Missing runs


@pytest.mark.parametrize(
    ("missing", "dropped"),
    [
        ("stage1_25", {"longer"}),
        ("strategy4", {"best", "keeps"}),
        ("round3", {"round"}),
        ("replay10", set()),
        ("train_on", set()),
        ("random", set()),
        (RUN2, set(KEYS)),
    ],
)
def test_a_run_that_the_model_lacks_takes_its_claims_along(missing, dropped):
    study = whole_study(runs=[run for run in RUNS if run != missing])
    spec = registry.TABLES["claims"]
    needs = spec.needs(study, study.models["m"])
    if not needs:
        assert dropped == set(KEYS)
        return
    made = {key: value for key, value in whole_results().items() if key[2] in needs}
    assert set(claimed(made, study)) == set(KEYS) - dropped
    assert missing not in {need.state for need in needs}


@pytest.mark.parametrize(
    ("other", "dropped"),
    [
        ({"retests": 0}, {"untrained"}),
        ({"longer": {}}, {"longer"}),
        ({"longer": {RUN1: 10}}, {"longer"}),
        ({"strategies": ()}, {"best", "keeps"}),
        ({"strategies": (RUN2,)}, {"best", "keeps"}),
        ({"strategies": ("strategy4",)}, {"best", "keeps"}),
        ({"rounds": ()}, {"round"}),
    ],
)
def test_what_the_study_does_not_have_takes_its_claims_along(other, dropped):
    study = whole_study(**other)
    needs = registry.TABLES["claims"].needs(study, study.models["m"])
    made = {key: value for key, value in whole_results().items() if key[2] in needs}
    assert set(claimed(made, study)) == set(KEYS) - dropped
    # How the origin knows the test facts is asked for strategies alone: for "keeps".
    assert (Result(CATEGORIES, ORIGIN, 0, "test") in needs) == ("keeps" not in dropped)


def test_without_controls_claims_stand_alone():
    study = whole_study(one_stage_controls=(), two_stage_controls=("absent", "train_on"), retests=0)
    found = claimed(study=study)
    for key in ("stage1", "stage2", "highly", "keeps", "growth"):
        assert found[key].control == "" and math.isnan(found[key].net.value)
    # The claims are held against the first control only.
    frame = rows(study=study)
    assert (frame.loc[["stage1", "stage2"], "verdict_against_control"] == "").all()
