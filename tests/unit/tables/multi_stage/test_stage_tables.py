"""The tables of stages, built from made-up answers and compared with numbers that were counted by hand."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.study.result_files import AUGMENTED_COUNTS, CHANGE, GROUP_GRADES, GROUPS, LOSS, REVISIONS, Result
from gradual.tables import reading, registry
from gradual.tables import spec as tables
from gradual.tables.multi_stage import paper
from gradual.tables.multi_stage.package import PACKAGE
from gradual.tables.multi_stage.roles import AGAIN, EVERY, Study
from gradual.tables.spec import Model, Results
from gradual.tables.verdicts import NOT, SHOWS, UNDECIDED, verdict
from made_up_stages import FIRST, ORIGIN, RUNS, domain_results, domain_study, fact_id, stage_results, stage_study

METHODS = [("CIT", 2), ("CIT", 3), ("All", 2), ("All", 3), ("Replay", 2), ("Replay", 3), ("biased", 2)]
ROWS = [(EVERY, 1), *METHODS, ("Joint training", 3)]


def build(name: str, made: Results | None = None, study: Study | None = None) -> pd.DataFrame:
    made, study = stage_results() if made is None else made, study or stage_study()
    return registry.TABLES[name].build(made, study)


def by(frame: pd.DataFrame, *keys: str) -> pd.DataFrame:
    return frame.set_index(list(keys))


def percents(row: pd.Series, *names: str) -> list[float]:
    return [row[f"{name}_percent"] for name in names]


def shares(*pairs: tuple[int, int] | None) -> list[float]:
    """Shares in percent, from a numerator and a denominator; None for an undefined one."""
    return pytest.approx([np.nan if pair is None else 100 * pair[0] / pair[1] for pair in pairs], nan_ok=True)


def wilson(count: int, n: int) -> list[float]:
    return pytest.approx([100 * value for value in statistics.wilson(count, n)])


def of(row: pd.Series, name: str) -> list[float]:
    return [row[name], row[f"{name}_low"], row[f"{name}_high"]]


# The main table


def test_kgr_and_acc_of_each_method_and_stage():
    frame = build("stages")
    assert list(zip(frame["method"], frame["stage"], strict=True)) == [*ROWS, (AGAIN, 1), (AGAIN, 2)]
    found = by(frame, "method", "stage")
    names = [f"{wording}_{metric}" for wording in ("trained", "unseen") for metric in ("kgr", "kgr_stage1", "acc")]
    expected = {  # of the facts that were wrong before, of those that were wrong after stage 1, of all
        (EVERY, 1): shares((4, 4), None, (6, 6), (3, 5), None, (4, 6)),
        ("CIT", 2): shares((3, 4), (3, 4), (3, 4), (2, 4), (2, 4), (2, 4)),
        ("CIT", 3): shares((2, 3), (2, 4), (2, 4), (1, 3), (1, 4), (1, 4)),
        ("All", 3): shares((4, 4), (4, 4), (4, 4), (3, 4), (3, 4), (3, 4)),
        ("biased", 2): shares((4, 4), (4, 4), (4, 4), (3, 4), (3, 4), (3, 4)),
        ("Joint training", 3): shares((4, 4), (4, 4), (4, 4), (3, 4), (3, 4), (3, 4)),
        (AGAIN, 1): shares(None, None, (5, 6), (1, 2), None, (5, 6)),
        (AGAIN, 2): shares((0, 4), (0, 4), (0, 4), (0, 4), (0, 4), (0, 4)),
    }
    for place, values in expected.items():
        assert percents(found.loc[place], *names) == values, place
    assert of(found.loc[("CIT", 3)], "trained_kgr_percent") == wilson(2, 3)
    assert of(found.loc[("CIT", 3)], "unseen_acc_percent") == wilson(1, 4)
    assert list(found["n"]) == [6, *[4] * 8, 6, 4]


def test_the_papers_numbers_stand_beside_the_methods_with_a_role():
    frame = by(build("stages"), "method", "stage")[["paper_kgr", "paper_acc"]]
    expected = {
        (EVERY, 1): [65.9, 81.55],
        ("CIT", 2): [48.8, 49.9],
        ("CIT", 3): [31.9, 34.05],
        ("All", 3): [69.4, 69.55],
    }
    expected |= {("biased", 2): [59.0, 59.3]}  # the paper's columns are exchanged there
    for place, values in expected.items():
        assert list(frame.loc[place]) == values, place
    for place in [("Replay", 2), ("Joint training", 3), (AGAIN, 1), (AGAIN, 2)]:
        assert frame.loc[place].isna().all(), place
    other = build("stages", study=stage_study(models={"m": Model("m", None, stage_study().models["m"].runs)}))
    assert other["paper_kgr"].isna().all()


def test_over_seeds_intervals_are_over_the_seeds():
    made = stage_results() | stage_results({("cit3", 0): ("2222 .. 0.", "2222 0. ..")}, seed=1)
    row = by(build("stages", made, stage_study((0, 1))), "method", "stage").loc[("CIT", 3)]
    expected = statistics.mean_interval([25, 100])
    assert of(row, "unseen_acc_percent") == pytest.approx(
        [expected.value, max(0, expected.low), min(100, expected.high)]
    )
    assert row["unseen_kgr_percent"] == pytest.approx((100 / 3 + 100) / 2)


def test_an_interval_counts_facts_and_not_their_wordings():
    study = stage_study(unseen=(3, 4))
    made = {
        key: pd.concat([value, value[value["wording"] == 3].assign(wording=4)])
        if key[2].kind == GROUP_GRADES
        else value
        for key, value in stage_results().items()
    }
    for table in ("stages", "retention", "stage_claims", "matrix", "budgets"):
        ours, once = build(table, made, study), build(table)
        for column in once:
            if pd.api.types.is_numeric_dtype(once[column]):
                np.testing.assert_allclose(ours[column], once[column], err_msg=f"{table} {column}")


def test_without_unseen_wordings_their_columns_are_empty_and_the_trained_ones_decide():
    study = stage_study(unseen=())
    made = {
        key: value[value["wording"] == 0] if key[2].kind == GROUP_GRADES else value
        for key, value in stage_results().items()
    }
    frame = by(build("stages", made, study), "method", "stage")
    assert frame["unseen_acc_percent"].isna().all() and frame.loc[("CIT", 3), "trained_acc_percent"] == 50
    assert set(build("answers", made, study)["wording"]) == {"trained"}
    assert by(build("budgets", made, study), "method").loc["CIT", "new_percent"] == 50


# The other tables


def test_which_answer_each_state_gives():
    frame = build("answers")
    found = by(frame, "method", "stage", "wording")
    assert list(found.index[:4]) == [("CIT", s, w) for s in (2, 3) for w in ("trained", "unseen")]
    names = ("new", "previous", "original", "other", "stuck")
    expected = {
        ("CIT", 2, "trained"): [75, 0, 0, 25, 0],  # the original answer is the previous one, and revision 2 is another
        ("CIT", 2, "unseen"): [50, 25, 0, 25, 25],
        ("CIT", 3, "trained"): [50, 25, 25, 0, 50],
        ("CIT", 3, "unseen"): [25, 25, 25, 25, 50],
        ("All", 3, "unseen"): [75, 25, 0, 0, 25],
        (AGAIN, 2, "trained"): [0, 75, 0, 25, 75],
    }
    for place, values in expected.items():
        assert percents(found.loc[place], *names) == values, place
    assert (frame["n"] == 4).all() and EVERY not in set(frame["method"])
    parts = frame[[f"{name}_percent" for name in names[:4]]].sum(axis=1)
    assert list(parts) == pytest.approx([100] * len(frame))
    assert of(found.loc[("CIT", 3, "unseen")], "stuck_percent") == wilson(2, 4)


def test_kept_and_unrelated_facts_that_are_still_right():
    found = by(build("retention"), "method", "stage", "wording")
    names = ("kept", "krr", "krr_stage1", "unrelated", "unrelated_kept")
    expected = {
        (EVERY, 1, "trained"): shares((2, 2), (1, 1), None, (2, 2), (2, 2)),
        (EVERY, 1, "unseen"): shares((1, 2), None, None, (1, 2), (1, 1)),
        ("CIT", 2, "trained"): shares((1, 2), (1, 2), (1, 2), (1, 2), (1, 2)),
        ("CIT", 3, "trained"): shares((0, 2), (0, 1), (0, 2), (1, 2), (1, 2)),
        ("CIT", 3, "unseen"): shares((1, 2), None, (1, 1), (0, 2), (0, 1)),
        ("All", 3, "unseen"): shares((2, 2), (2, 2), (1, 1), (1, 2), (1, 1)),
        ("Joint training", 3, "trained"): shares((2, 2), (1, 1), (2, 2), (0, 2), (0, 2)),
        (AGAIN, 1, "trained"): shares((2, 2), (2, 2), None, (1, 2), (1, 2)),
        (AGAIN, 1, "unseen"): shares((2, 2), (1, 1), None, (0, 2), (0, 1)),
    }
    for place, values in expected.items():
        assert percents(found.loc[place], *names) == values, place
    assert found.loc[("CIT", 3, "unseen"), "change"] == len("cit3") and found["change"].notna().all()
    assert (found["kept_n"] == 2).all() and (found["unrelated_n"] == 2).all()
    assert AGAIN in found.index and (AGAIN, 2, "trained") not in found.index
    asked = {(FIRST, 0): ("0000 00 00", "000. 0. .0"), (FIRST, 1): ("00.0 00 0.", "000. 00 .0")}
    again = by(build("retention", stage_results(asked)), "method", "stage", "wording").loc[(AGAIN, 1, "unseen")]
    assert again["unrelated_kept_percent"] == 100  # of those that stage 1 has right, and not the origin


def test_the_matrix_in_the_deciding_wording():
    found = by(build("matrix"), "method", "stage", "facts_of")
    expected = {  # by what is valid after the state's stage, and by what the facts' stage teaches
        ("none: the origin", 0, "stage 1"): [(1, 6), (1, 6)],
        ("none: the origin", 0, "stage 2"): [(1, 4), (0, 4)],
        (EVERY, 1, "stage 1"): [(4, 6), (4, 6)],
        (EVERY, 1, "stage 3"): [(3, 4), (0, 4)],
        ("CIT", 2, "stage 1"): [(2, 6), (1, 6)],
        ("CIT", 2, "stage 2"): [(2, 4), (2, 4)],
        ("CIT", 2, "stage 3"): [(2, 4), (1, 4)],
        ("CIT", 3, "stage 1"): [(2, 6), (2, 6)],
        ("CIT", 3, "stage 2"): [(1, 4), (1, 4)],
        ("CIT", 3, "stage 3"): [(1, 4), (1, 4)],
    }
    for place, (now, then) in expected.items():
        assert percents(found.loc[place], "now", "then") == shares(now, then), place
    assert "Joint training" not in found.index and (AGAIN, 1, "stage 1") not in found.index


def test_average_accuracy_and_transfer_of_each_method():
    found = by(build("matrix"), "method", "facts_of")
    assert found.loc[("CIT", "average accuracy"), "now_percent"] == pytest.approx(100 * (2 / 6 + 1 / 4 + 1 / 4) / 3)
    # only the kept facts of stage 1 have the answer that they were taught: one is right after stage 1
    assert found.loc[("CIT", "backward transfer"), "transfer_points"] == 0
    assert found.loc[("All", "backward transfer"), "transfer_points"] == 50
    # before stage 2 none of its answers is right, before stage 3 one of four
    assert found.loc[("CIT", "forward transfer"), "transfer_points"] == pytest.approx(100 * (0 + 1 / 4) / 2)
    assert found.loc[("biased", "forward transfer"), "transfer_points"] == 0
    assert pd.isna(found.loc[("CIT", "average accuracy"), "now_percent_low"])
    made = stage_results() | stage_results({("whole3", 0): ("2222 00 00", "2222 .. ..")}, seed=1)
    row = by(build("matrix", made, stage_study((0, 1))), "method", "facts_of").loc[("All", "backward transfer")]
    assert of(row, "transfer_points") == pytest.approx(list(statistics.mean_interval([50, -50])))


def test_one_domain_after_another():
    found = by(build("domains", domain_results(), domain_study()), "method", "stage", "wording")
    assert list(found["domain"]) == ["places", "places", "lives", "lives"]
    names = ("own", "own_change", "conflicting", "conflicting_change", "earlier", "earlier_change")
    expected = {
        (EVERY, 1, "trained"): shares((2, 2), (2, 2), None, None, None, None),
        (EVERY, 1, "unseen"): shares((1, 2), (1, 2), None, None, None, None),
        ("CIT", 2, "trained"): shares((1, 2), (1, 1), (1, 1), (1, 1), (0, 1), (0, 1)),
        ("CIT", 2, "unseen"): shares((2, 2), (2, 2), (1, 1), (1, 1), (1, 1), None),
    }
    for place, values in expected.items():
        assert percents(found.loc[place], *names) == values, place
    sizes = found.loc[[(EVERY, 1, "trained"), ("CIT", 2, "trained")], ["own_n", "conflicting_n", "earlier_n"]]
    assert sizes.to_numpy().tolist() == [[2, 0, 0], [2, 1, 1]]


def test_in_domains_the_answers_that_change_are_those_that_conflict():
    frame = by(build("answers", domain_results(), domain_study()), "method", "wording")
    assert set(frame["n"]) == {1} and set(frame["new_percent"]) == {100}


def test_what_each_budget_buys():
    found = by(build("budgets"), "method")
    assert list(found.index) == ["CIT", "All", "Replay", "biased", "Joint training"]
    assert list(found["stage"]) == [3, 3, 3, 2, 3]
    assert list(found["budget"]) == pytest.approx([10, 15, 10, 10, 4])
    assert list(found["epochs"]) == [10, 15, 5, 10, 8]
    assert list(found["new_percent"]) == [25, 75, 50, 75, 75] and list(found["kept_percent"]) == [50, 100, 50, 0, 100]
    assert list(found["unrelated_kept_percent"]) == [0, 100, 0, 100, 0]
    assert list(found["steps"]) == [40, 60, 90, 70, 50]
    study = stage_study(models={"m": Model("m", None, (*RUNS, "whole3_forget"))})
    made = stage_results() | {(0, "m", Result(LOSS, "whole3_forget")): pd.DataFrame({"step": [1, 5]})}
    assert by(build("budgets", made, study), "method").loc["All", "steps"] == 60 + 5  # of the run that forgets
    seeds = by(build("budgets", stage_results() | stage_results(seed=1), stage_study((0, 1))), "method")
    assert seeds.loc["CIT", "steps"] == (40 + 41) / 2


# The claims


def paired(before: str, after: str) -> list[float]:
    arrays = [np.array([letter == "1" for letter in text]) for text in (before, after)]
    return pytest.approx([100 * value for value in statistics.paired_difference(*arrays)])


def test_each_claim_with_its_effect_and_its_control():
    frame = build("stage_claims")
    assert list(frame["claim"]) == [
        "All is better than CIT after stage 2",
        "All is better than CIT after stage 3",
        "The preference bias is better than CIT",
        "All keeps more of what earlier stages taught than CIT, after stage 3",
    ]
    second, third, preference, kept = (row for _, row in frame.iterrows())
    assert of(second, "effect_points") == paired("1100", "1111") and second["paper_points"] == pytest.approx(
        83.9 - 49.9
    )
    assert of(third, "effect_points") == paired("1000", "1110") and third["paper_points"] == pytest.approx(
        69.55 - 34.05
    )
    assert of(preference, "effect_points") == paired("1100", "1101")
    assert preference["paper_points"] == pytest.approx(59.3 - 49.9)
    assert of(kept, "effect_points") == paired("10", "11") and pd.isna(kept["paper_points"])
    assert kept["control"] == "Replay" and of(kept, "net_points") == paired("10", "11")
    assert of(kept, "control_points") == paired("10", "10")
    assert list(frame["facts"]) == [4, 4, 4, 2] and (frame["margin_points"] == 1).all()
    assert (frame["control"] != "").sum() == 1 and set(frame["verdict"]) == {UNDECIDED}


def test_claims_of_methods_that_the_study_has():
    roles = stage_study().roles | {"mocl": "biased", "augmented": "whole", "half": "cit"}
    study = stage_study(roles=roles | {"selected": "whole"}, steps_of={"replayed": "whole"})
    frame = by(build("stage_claims", study=study), "claim")
    assert list(frame.index) == [
        "All is better than CIT after stage 2",
        "All is better than biased after stage 2",
        "All is better than CIT after stage 3",
        "The preference bias is better than CIT",
        "All three augmentations are better than CIT",
        "Selected questions are better than CIT",
        "All keeps more of what earlier stages taught than CIT, after stage 3",
    ]
    first = frame.iloc[0]
    # The control takes as many steps as the method itself, and another method's control is none of this one.
    assert first["control"] == "Replay" and of(first, "net_points") == paired("1100", "1111")
    assert frame.loc["The preference bias is better than CIT", "control"] == ""
    assert frame.loc["All three augmentations are better than CIT", "paper_points"] == pytest.approx(69.9 - 49.9)
    selected = frame.iloc[5]
    assert selected["paper_points"] == pytest.approx(81.2 - 79.85) and selected["control"] == ""


def test_a_claim_says_where_templates_wrote_the_questions():
    study = stage_study((0, 1), augmented=("whole",))
    made = stage_results() | stage_results(seed=1)

    def written(*by: tuple[str, str]) -> list[str]:
        for seed, (background, logic) in enumerate(by):
            for state in ("whole2", "whole3"):
                frame = pd.DataFrame({"way": ["background", "logic"], "made_by": [background, logic]})
                made[seed, "m", Result(AUGMENTED_COUNTS, state)] = frame
        frame = build("stage_claims", made, study)
        assert frame["claim"][2] == "The preference bias is better than CIT"  # which has no such questions
        return [*frame["written_by"][:3], frame["claim"][0].removeprefix("All is better than CIT after stage 2")]

    assert written(("model", "model"), ("model", "model")) == ["model", "model", "", ""]
    assert written(("templates",) * 2, ("templates",) * 2)[-1] == " (questions by templates)"
    assert written(("model", "templates"), ("model", "templates"))[0] == "templates: logic"
    assert written(("templates", "model"), ("model", "model"))[0] == "templates: background (50%)"


def test_verdicts_over_seeds():
    changes = {("whole2", 0): ("1111 00 00", "1111 00 0."), ("cit2", 0): ("1111 0. 0.", "0000 .. ..")}
    made = {}
    for seed in range(3):
        made |= stage_results(changes | {("biased2", 0): ("1111 .. 0.", "0000 .. 0.")}, seed)
    frame = by(build("stage_claims", made, stage_study((0, 1, 2))), "claim")
    assert frame.loc["All is better than CIT after stage 2", "verdict"] == SHOWS
    assert frame.loc["The preference bias is better than CIT", "verdict"] == NOT  # both have none right in any seed
    assert verdict(statistics.Estimate(0.02, -0.001, 0.03), "rises", 0.01) == UNDECIDED


# Reading


@pytest.mark.parametrize("name", list(PACKAGE.tables))
def test_every_table_reads_no_more_than_it_needs(name):
    study, made = (domain_study(), domain_results()) if name == "domains" else (stage_study(), stage_results())
    spec = registry.TABLES[name]
    given = {key: made[key] for key in reading.keys(study, {"m": spec.needs(study, study.models["m"])})}
    assert len(spec.build(given, study)) > 0
    for key in given:  # and all of it
        with pytest.raises(InputError, match="is missing"):
            spec.build({other: value for other, value in given.items() if other != key}, study)


def test_groups_and_revisions_are_read_once_per_seed():
    study = stage_study((0, 1), models={name: Model(name, None, (FIRST, "cit2")) for name in ("m", "n")})
    spec = registry.TABLES["answers"]
    keys = reading.keys(study, {name: spec.needs(study, model) for name, model in study.models.items()})
    assert [(seed, model) for seed, model, need in keys if need.kind == GROUPS] == [(0, ""), (1, "")]
    assert reading.path(Result(GROUP_GRADES, FIRST, 1), 0, "m") == "seed0/m/stage1/groups-1/grades.parquet"
    assert reading.path(Result(REVISIONS), 0, "") == "seed0/revisions.parquet"


def test_states_that_a_model_does_not_have_are_left_out():
    study = stage_study(models={"m": Model("m", None, (FIRST, "cit2")), "bare": Model("bare", None, ())})
    frame = build("stages", study=study)
    assert list(zip(frame["method"], frame["stage"], strict=True))[:2] == [(EVERY, 1), ("CIT", 2)]
    assert len(frame) == 4 and set(frame["model"]) == {"m"}
    spec = registry.TABLES["stage_claims"]
    assert spec.needs(study, study.models["m"]) == [] == spec.needs(study, study.models["bare"])
    assert registry.TABLES["domains"].needs(stage_study(), stage_study().models["m"]) == []


PLACE = "seed0/m/cit2/groups-0/grades.parquet"
FACT = fact_id("r0")
DAMAGES = {
    "no column": (lambda g: g.drop(columns="right"), "key 'right': has the columns"),
    "an empty cell": (
        lambda g: g.assign(text=g["text"], wording=g["wording"].astype(float).where(g.index != 4)),
        r"row 5, key 'wording': the cell is empty",
    ),
    "a fact of no group": (
        lambda g: g.assign(fact_id=g["fact_id"].mask(g.index == 2, "f" * 16)),
        "row 3, key 'fact_id': 'ffffffffffffffff'; expected a fact of the groups",
    ),
    "a wording that is not asked": (
        lambda g: g.assign(wording=g["wording"].mask(g["wording"] == 3, 2)),
        r"row 19, key 'wording': .*2.*; expected a wording that the study asks \(0, 3\)",
    ),
    "a revision that the fact does not have": (
        lambda g: g.assign(revision=g["revision"].mask(g.index == 2, 7)),
        "row 3, key 'revision': .*7.*; expected a revision of the fact",
    ),
    "right that is a number": (
        lambda g: g.assign(right=g["right"].astype(int)),
        "row 1, key 'right': .*; expected true",
    ),
    "a row twice": (lambda g: pd.concat([g, g.iloc[[5]]], ignore_index=True), "row 33, key 'fact_id': .* once"),
    "a row less": (
        lambda g: g.drop(index=1),
        f"key 'fact_id': fact {FACT} has no grade in wording 0 by revision 1; expected a grade of every fact",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_malformed_grades_are_refused_with_file_row_and_key(damage):
    change, message = DAMAGES[damage]
    made, place = stage_results(), (0, "m", Result(GROUP_GRADES, "cit2"))
    with pytest.raises(InputError, match=message) as error:
        build("answers", made | {place: change(made[place])})
    assert error.value.file == PLACE


def test_a_malformed_norm_is_refused():
    place = (0, "m", Result(CHANGE, "cit2"))
    with pytest.raises(InputError, match="seed0/m/cit2/change.json, key 'norm': None; expected the norm") as error:
        build("retention", stage_results() | {place: {}})
    assert error.value.key == "norm"


# The paper's numbers


def test_the_papers_numbers_are_complete():
    frame = pd.read_csv(paper.FILE)
    assert not frame.duplicated(["table", "model", "row", "column"]).any() and frame["value"].between(0, 100).all()
    assert frame.groupby("table").size().to_dict() == {
        "main": 4 * 2 * 17,
        "preference": 4,
        "augmentation": 10,
        "selection": 8,
    }
    assert paper.models() == ("Llama2-7B", "Llama2-13B", "LLaMA3-8B", "Mistral-7B")


def test_the_ablations_start_from_the_main_tables_plain_training():
    printed = pd.read_csv(paper.FILE).set_index(["table", "row", "column"])["value"]
    for metric in ("ACC", "KGR"):
        plain = paper.printed("LLaMA3-8B", "plain", 2, metric)
        assert printed[("augmentation", "none", metric)] == plain
        exchanged = {"ACC": "KGR", "KGR": "ACC"}[metric]
        assert printed[("preference", "CIT", exchanged)] == plain


@pytest.mark.parametrize(
    ("model", "role", "stage"), [(None, "plain", 2), ("Qwen2-7B", "plain", 2), ("Llama2-7B", "half", 2)]
)
def test_what_the_paper_does_not_print(model, role, stage):
    assert np.isnan(paper.printed(model, role, stage, "ACC"))
    assert paper.gain(model, role, "plain", stage) is None


def test_the_origin_of_the_matrix_is_asked():
    assert Result(GROUP_GRADES, ORIGIN) in registry.TABLES["matrix"].needs(stage_study(), stage_study().models["m"])


@pytest.mark.parametrize("name", list(PACKAGE.tables))
def test_a_table_is_told_all_that_it_reads_of_the_study(name):
    seen = set()

    class Read(Study):
        def __getattribute__(self, key):
            seen.add(key)
            return super().__getattribute__(key)

    given, made = (domain_study(), domain_results()) if name == "domains" else (stage_study(), stage_results())
    settings = {field.name: getattr(given, field.name) for field in fields(given)}
    spec = registry.TABLES[name]
    study = Read(**settings | {"steps_of": {"replayed": "whole"}})
    seen.clear()
    spec.needs(study, study.models["m"])
    spec.build(made, study)
    own = {field.name for field in fields(Study)} - {field.name for field in fields(tables.Study)}
    assert seen & own <= {*spec.uses}
