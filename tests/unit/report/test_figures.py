"""The figures: which a study has, the numbers that they show, and SVG of the same bytes each time."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest

from gradual.report import canvas, registry
from gradual.report.figures import budgets, epochs, flows, log_ratios
from gradual.report.figures.matrix import mixed
from gradual.study.load_study import load_study
from gradual.study.result_files import LOSS, Result, path_of
from gradual.tables import registry as tables_of
from gradual.tables.gradual_learning.roles import study_of
from gradual.tables.table_csv import read_table
from made_up import RUN1, RUN2, whole_results, write_results
from made_up_stages import stage_results, stage_study

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "results" / "reference"
PUBLISHED = {folder.name: [file.stem for file in folder.glob("tables/*.csv")] for folder in sorted(REFERENCE.iterdir())}
OWN = ("flows", "epochs", "log_ratios", "budgets")  # figures that more than their tables decide
MODEL = {"key": "m", "label": "tiny Qwen2"}


def published(name: str, study: str = "default") -> pd.DataFrame:
    found = registry.published_numbers(name, REFERENCE / study, PUBLISHED[study])
    assert found is not None
    return found


def of_stages(name: str) -> pd.DataFrame:
    """The numbers of a figure of the made-up study of stages."""
    spec = registry.FIGURES[name]
    return spec.numbers({table: tables_of.TABLES[table].build(stage_results(), stage_study()) for table in spec.tables})


def colours(svg: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}\b", svg))


def shown(study: str) -> list[str]:
    config = load_study(study, ROOT)
    names = [tables_of.name_of(shown) for shown in config["tables"]["show"]]
    return list(registry.shown(config, names, tables_of.all_needs(names, config)))


def test_a_study_has_the_figures_of_its_tables_and_no_others():
    default = shown("default")
    assert {"claims", "flows", "epochs", "chance", "time"} <= {*default}
    assert not {"stages", "matrix", "log_ratios", "replay"} & {*default}
    assert shown("replay_sweep") == ["categories", "epochs", "replay", "time"]
    stages = shown("multi_stage")
    assert {"stage_claims", "stages", "retention", "methods", "matrix", "log_ratios", "time"} == {*stages}
    assert shown("multi_stage_sweep") == ["retention", "budgets", "log_ratios", "time"]


def test_the_files_of_a_figure_are_among_what_its_study_makes_for_its_tables():
    config = load_study("default", ROOT)
    names = [tables_of.name_of(shown) for shown in config["tables"]["show"]]
    needed = {file for name in names for file in tables_of.inputs(name, config)}
    for name, told in registry.shown(config, names, tables_of.all_needs(names, config)).items():
        for file in registry.files(name, told):
            assert file in needed or file == "provenance.json" or file in {f"tables/{table}.csv" for table in names}


def test_flows_follow_each_fact_through_the_probes_as_a_mean_over_the_seeds(tmp_path):
    for seed in (0, 1):
        write_results(tmp_path, whole_results(seed))
    told = {
        "seeds": [0, 1],
        "models": [MODEL | {"states": [["Origin", "origin"], ["A", RUN1], ["B", RUN2]], "again": True}],
    }
    frame = flows.numbers(tmp_path, told)
    assert all((tmp_path / file).is_file() for file in flows.files(told))
    assert frame.groupby("panel")["share"].sum().to_dict() == pytest.approx({"stages": 1, "asked again": 1})
    paths = frame[frame["panel"] == "stages"].set_index(["before", "between", "after"])["share"]
    # HHMMWWWUUU, HHHMMWMUHU and HHHHMWMUHU: two facts stay highly known, and one moves there in each stage.
    weakly = "WeaklyKnown & Unknown"
    assert paths["HighlyKnown", "HighlyKnown", "HighlyKnown"] == pytest.approx(0.2)
    assert paths["MaybeKnown", "HighlyKnown", "HighlyKnown"] == pytest.approx(0.1)
    assert paths["MaybeKnown", "MaybeKnown", "HighlyKnown"] == pytest.approx(0.1)
    assert paths[weakly, weakly, weakly] == pytest.approx(0.3)


def test_epochs_have_the_range_of_the_seeds_and_what_they_chose(tmp_path):
    write_results(tmp_path, whole_results(0))
    write_results(tmp_path, whole_results(1, right={RUN1: {1: "1111100000", 2: "1101101000", 3: "1101000000"}}))
    told = {"seeds": [0, 1], "models": [MODEL | {"runs": [[RUN1, "One-Stage"]], "origin": True}]}
    frame = epochs.numbers(tmp_path, told)
    assert all((tmp_path / file).is_file() for file in epochs.files(told))
    first = frame[(frame["epoch"] == 1) & (frame["split"] == "test")].iloc[0]
    assert list(first[["percent_min", "percent", "percent_max", "origin_percent"]]) == pytest.approx([40, 45, 50, 30])
    assert list(frame[frame["split"] == "test"]["seeds_that_chose_it"]) == [2, 0, 0]


def test_log_ratios_are_means_over_seeds_and_groups_of_steps(tmp_path):
    told = {"seeds": [0, 1], "models": [MODEL | {"runs": [["pbl2", "preference bias"]]}]}
    for seed in told["seeds"]:
        frame = pd.DataFrame({"step": range(1, 121), "target_log_ratio": [1.0 + 2 * seed] * 120})
        file = tmp_path / path_of(Result(LOSS, "pbl2"), seed, "m")
        file.parent.mkdir(parents=True)
        frame.to_csv(file, index=False)
    found = log_ratios.numbers(tmp_path, told)
    assert len(found) == 60 and list(found["step"][:2]) == [1.5, 3.5]
    assert set(found["target_log_ratio"]) == {2.0} and found["aligned_log_ratio"].isna().all()
    assert canvas.svg(lambda: log_ratios.draw(found), "log_ratios").startswith("<svg")


def test_a_curve_has_the_methods_that_differ_in_nothing_but_rate_epochs_and_names():
    methods = {
        "cit_a": {"learning_rate": 0.1, "epochs": 3},
        "cit_b": {"learning_rate": 0.2},
        "merge_a": {"adapter": "merge"},
        "merge_b": {"adapter": "merge", "epochs": 9, "stages": 2},
        "merge_more": {"adapter": "merge", "forget": 0.5},
    }
    methods |= {f"steps_{budget}": {"steps_of": f"cit_{budget}"} for budget in "ab"}
    methods |= {"other_steps": {"steps_of": "merge_more"}}
    told = {"curves": {"cit": ["cit_a", "cit_b"], "merge": ["merge_a", "merge_b"], "steps": ["steps_a", "steps_b"]}}
    assert budgets.settings({"methods": methods}, {}) == told
    named = {"a": {"label": "CIT"}, "b": {"label": "CIT, long", "epochs": 9}}  # the tables show the labels
    assert budgets.settings({"methods": named}, {}) == {"curves": {"CIT": ["CIT", "CIT, long"]}}
    both = {"x_1": {}, "x_2": {}, "x_3": {"forget": 1}, "x_4": {"forget": 1}}  # with one beginning
    assert budgets.settings({"methods": both}, {}) == {"curves": {"x": ["x_1", "x_2"], "x_3": ["x_3", "x_4"]}}
    assert budgets.settings({"methods": {name: methods[name] for name in ("cit_a", "merge_a", "merge_more")}}, {}) == {}


def test_budgets_are_points_of_the_curves_of_their_methods():
    study = "multi_stage_sweep"
    told = budgets.settings(load_study(study, ROOT), {})
    found = budgets.numbers(REFERENCE / study, told)
    assert (
        set(found["name"]) == {"cit", "merge", "replay", "mocl", "f_learning", "theirs", "steps"} == {*told["curves"]}
    )
    table = read_table(REFERENCE / study / "tables" / "budgets.csv").set_index("method")
    for _, rows in found.groupby("name"):
        assert len(rows) == 6 and rows["new_percent"].is_monotonic_increasing
        assert list(rows["kept_percent"]) == list(table.loc[rows["method"], "kept_percent"])
    assert ">f learning</text>" in registry.svg("budgets", found)


def test_a_run_that_comes_apart_does_not_flatten_the_others():
    steps = pd.DataFrame(
        {"label": "m", "step": [1.0, 2.0], "aligned_log_ratio": math.nan, "conflicting_log_ratio": 0.0}
    )
    near, far = (
        steps.assign(name="near", target_log_ratio=[0.0, 2.0]),
        steps.assign(name="far", target_log_ratio=[0.0, -80.0]),
    )
    both = registry.svg("log_ratios", pd.concat([near, far]))
    assert all(f">{said}</text>" in both for said in ("2", "−80")) and ">−80</text>" not in registry.svg(
        "log_ratios", near
    )


def test_runs_of_one_length_have_panels_of_their_own():
    config = load_study("smollm2_search", ROOT)
    names = [tables_of.name_of(shown) for shown in config["tables"]["show"]]
    [model] = epochs.settings(config, tables_of.all_needs(names, config))["models"]
    assert len({name for _, name in model["runs"]}) == len(model["runs"]) == len(config["tables"]["longer"])
    assert [*study_of(config).lengths.values()] == [f"5 ({run})" for run, _ in model["runs"]]


def test_methods_are_compared_after_each_stage_that_is_the_only_one_of_some():
    study = "multi_stage"
    frame = published("methods", study)
    assert set(frame["stage"]) == {2, 5}  # stage 2 of the variants, and stage 5 of joint training
    learned = read_table(REFERENCE / study / "tables" / "stages.csv").set_index(["method", "stage"])
    kept = read_table(REFERENCE / study / "tables" / "retention.csv")
    kept = kept[kept["wording"] == "unseen"].set_index(["method", "stage"])
    for _, row in frame.iterrows():
        place = row["method"], row["stage"]
        assert row["new_percent"] == learned.loc[place, "unseen_acc_percent"]
        assert row["kept_percent"] == kept.loc[place, "kept_percent"]
    several = {"stages": learned.reset_index(), "retention": kept.reset_index()}
    several = {name: table[table["method"].isin(["CIT", "MoCL"])] for name, table in several.items()}
    assert set(registry.FIGURES["methods"].numbers(several)["stage"]) == {5}  # where all have several, the last one


PUBLISHED_FIGURES = [(file.parents[1].name, file.stem) for file in sorted(REFERENCE.glob("*/figures/*.svg"))]


@pytest.mark.parametrize(("study", "name"), PUBLISHED_FIGURES)
def test_a_published_figure_is_the_same_bytes_when_it_is_drawn_again(study, name):
    folder = REFERENCE / study
    once = registry.svg(name, read_table(folder / f"figures/{name}.csv"))
    assert once == (folder / f"figures/{name}.svg").read_text(encoding="utf-8")
    assert "<dc:" not in once and "Created with" not in once
    assert not re.findall(r"\d\.\d{3,}", once)
    if not registry.FIGURES[name].own:  # its numbers are still those of the tables
        again = published(name, study).to_csv(index=False)
        assert again == read_table(folder / f"figures/{name}.csv").to_csv(index=False)


def test_every_colour_is_of_the_palette_and_text_is_text_of_ten_points_at_least():
    for file in sorted((REFERENCE / "default" / "figures").glob("*.svg")):
        svg = file.read_text(encoding="utf-8")
        assert colours(svg) <= {*canvas.PALETTE}, file.name
        sizes = [
            float(one or other) for one, other in re.findall(r"font-size: ([\d.]+)px|font: (?:\w+ )*([\d.]+)px", svg)
        ]
        assert sizes and min(sizes) >= 10, file.name


@pytest.mark.parametrize("name", ["stages", "retention", "methods", "matrix", "stage_claims"])
def test_the_figures_of_stages_are_drawn_from_their_tables(name):
    frame = of_stages(name)
    svg = registry.svg(name, frame)
    for words in ("CIT", "Replay") if name != "stage_claims" else ("stage 2",):
        assert f">{words}" in svg or words in svg
    if name == "matrix":  # a heat map thins one colour of the palette
        assert colours(svg) <= {*canvas.PALETTE, *(mixed(canvas.BLUE, v / 100) for v in frame["now_percent"].dropna())}
    else:
        assert colours(svg) <= {*canvas.PALETTE}


def test_replay_is_drawn_by_ratio():
    svg = registry.svg("replay", published("replay", "replay_sweep"))
    assert svg.index("no replay") < svg.index("10% replayed") < svg.index("80% replayed")


def test_a_label_is_shown_as_it_is_whatever_it_looks_like(tmp_path):
    frame = published("accuracy")
    frame["label"] = ["007" if label == frame["label"].iloc[0] else "a $x$ <b> & {c}" for label in frame["label"]]
    frame.to_csv(tmp_path / "accuracy.csv", index=False)
    svg = registry.svg("accuracy", read_table(tmp_path / "accuracy.csv"))
    assert ">007</text>" in svg and "a $x$ &lt;b&gt; &amp; {c}</text>" in svg
