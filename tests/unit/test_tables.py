"""The tables, fed with made-up results that have exactly the paper's counts, and with broken ones."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import collect_tables
import write_table
from gradual import knowledge, layout, statistics, tables
from gradual.errors import InputError
from gradual.tables import category_counts, paper, results
from gradual.tables.markdown import whole
from gradual.tables.spec import ACCURACY, CATEGORIES, CHOSEN, FACTS, GRADES, Model, Need, Results, Study

QWEN = paper.values
RUN1, RUN2 = "stage1", "strategy5"


def study(seeds: tuple[int, ...] = (0,), paper_model: str | None = "Qwen2-7B", retests: int = 1, **other) -> Study:
    settings = {"one_stage": RUN1, "two_stage": RUN2, "scoring": "substring", "choose_on": "dev"} | other
    return Study(seeds=seeds, models={"m": Model("tiny Qwen2", paper_model)}, retests=retests, **settings)


def probe(labels: list[str]) -> pd.DataFrame:
    """A probe that puts fact i into category labels[i]."""
    return pd.DataFrame({"fact_id": [f"{i:016x}" for i in range(len(labels))], "category": labels})


def fact_table(n: int) -> pd.DataFrame:
    ids = [f"{i:016x}" for i in range(n)]
    return pd.DataFrame({"fact_id": [*ids, "f" * 16], "split": ["train"] * n + ["test"]})


def spread(cells: dict[tuple[str, str], float]) -> Iterator[tuple[str, str]]:
    """The row and column of each fact of a table of counts."""
    for key, value in cells.items():
        yield from [key] * int(value)


def transitions(cells: dict[tuple[str, str], float]) -> tuple[list[str], list[str]]:
    before, after = zip(*spread(cells), strict=True)
    return list(before), list(after)


def loaded(states: dict[tuple[str, int], list[str]], seed: int = 0) -> Results:
    """Results that hold facts and, by state and probe, the category of each fact."""
    n = len(next(iter(states.values())))
    frames = {(seed, "m", Need(CATEGORIES, state, number)): probe(labels) for (state, number), labels in states.items()}
    return {(seed, "", Need(FACTS)): fact_table(n)} | frames


# The transcription


def total(number: int, model: str) -> float:
    return sum(paper.values(number, model).values())


@pytest.mark.parametrize("model", ["Qwen2-7B", "LLaMA3-8B"])
def test_tables_2_and_3_count_the_same_facts(model):
    before, transitions = paper.values(2, model), paper.values(3, model)
    assert total(2, model) == total(3, model) == 169_164
    for name in knowledge.FULL:
        margin = sum(value for (origin, _), value in transitions.items() if origin == name)
        assert margin == before[name, "Num"]


def test_table_4_counts_all_rows():
    assert total(4, "Qwen2-7B") == 176_560
    assert paper.values(4, "LLaMA3-8B") == {}


def test_table_10_agrees_with_tables_2_and_3():
    counts, before, transitions = (paper.values(number, "Qwen2-7B") for number in (10, 2, 3))
    for stage in ("Origin", "One-Stage", "Two-Stage"):
        assert sum(value for (_, column), value in counts.items() if column == stage) == 169_164
    assert counts["HighlyKnown", "Origin"] == before["HighlyKnown", "Num"]
    for name in knowledge.GREEDY_ONLY:
        assert counts[name, "One-Stage"] == sum(value for (_, new), value in transitions.items() if new == name)


def test_number_of_cells():
    frame = pd.read_csv(paper.FILE)
    assert frame.groupby("table").size().to_dict() == {2: 8, 3: 24, 4: 9, 7: 6, 10: 9}
    assert not frame.duplicated(["table", "model", "row", "column"]).any()


def test_a_model_that_the_paper_does_not_have():
    with pytest.raises(InputError, match=r"'Qwen2'.*Qwen2-7B, LLaMA3-8B or null"):
        paper.values(2, "Qwen2")
    assert paper.values(2, None) == {}


# The paper's counts through the machinery


def test_table_2_of_the_papers_counts():
    labels, _ = transitions(paper.values(2, "Qwen2-7B"))
    frame = tables.TABLES[2].build(loaded({("origin", 0): labels}), study())
    assert list(frame["type"]) == list(knowledge.FULL)
    assert list(frame["count"]) == list(frame["paper_count"]) == [34426, 36897, 25986, 71855]
    assert list(frame["share"]) == pytest.approx(list(frame["paper_share"]))
    assert list(frame["share"].round(3)) == [0.204, 0.218, 0.154, 0.425]
    assert ((frame["share_low"] < frame["share"]) & (frame["share"] < frame["share_high"])).all()
    assert (frame["n"] == 169_164).all()


def test_table_3_of_the_papers_counts():
    before, after = transitions(paper.values(3, "Qwen2-7B"))
    shape = {("origin", 0): before, ("origin", 1): before, (RUN1, 0): after}
    frame = tables.TABLES[3].build(loaded(shape), study())
    assert list(frame["count"]) == list(frame["paper_count"])
    assert list(frame["share_of_origin"]) == pytest.approx(list(frame["paper_share_of_origin"]))
    assert list(zip(frame["origin_type"], frame["new_type"], strict=True)) == list(paper.values(3, "Qwen2-7B"))
    cells = frame.set_index(["origin_type", "new_type"])
    moved = cells.loc[("WeaklyKnown", "MaybeKnown")]
    assert moved["share_of_origin"] == pytest.approx(4889 / 25986)
    # The retest changes nothing here, so all of it is due to training.
    assert moved["retest_share_of_origin"] == 0
    assert moved["net_share_of_origin"] == pytest.approx(4889 / 25986)
    kept = cells.loc[("HighlyKnown", "HighlyKnown")]
    assert kept["net_share_of_origin"] == pytest.approx(27282 / 34426 - 1)


def test_table_3_takes_trained_states_that_were_probed_in_full():
    before, after = ["HighlyKnown", "Unknown", "WeaklyKnown"], ["MaybeKnown", "WeaklyKnown", "Unknown"]
    frame = tables.TABLES[3].build(loaded({("origin", 0): before, (RUN1, 0): after}), study(retests=0))
    counts = frame.set_index(["origin_type", "new_type"])["count"]
    assert counts["Unknown", "WeaklyKnown & Unknown"] == counts["WeaklyKnown", "WeaklyKnown & Unknown"] == 1
    assert frame["retest_share_of_origin"].isna().all() and frame["net_share_of_origin"].isna().all()
    # No fact is MaybeKnown at origin: a share of none is not defined.
    assert frame.loc[frame["origin_type"] == "MaybeKnown", "share_of_origin"].isna().all()


def test_table_4_of_the_papers_counts():
    before, after = transitions(paper.values(4, "Qwen2-7B"))
    # A full probe on one side: both sides are collapsed.
    before = ["Unknown" if label == knowledge.WEAKLY_OR_UNKNOWN else label for label in before]
    frame = tables.TABLES[4].build(loaded({("origin", 0): before, ("origin", 1): after}), study())
    assert list(frame["count"]) == list(frame["paper_count"])
    assert frame["count"].sum() == 176_560
    cells = frame.set_index(["origin_type", "new_type"])
    assert cells.loc[("WeaklyKnown & Unknown", "MaybeKnown"), "share_of_origin"] == pytest.approx(0.0514, abs=1e-4)
    assert cells.loc[("HighlyKnown", "WeaklyKnown & Unknown"), "count"] == 0


def table_10_states() -> dict[tuple[str, int], list[str]]:
    cells = paper.values(10, "Qwen2-7B")
    states = {"Origin": "origin", "One-Stage": RUN1, "Two-Stage": RUN2}
    return {
        (state, 0): [name for name, _ in spread({key: value for key, value in cells.items() if key[1] == stage})]
        for stage, state in states.items()
    }


def test_table_10_of_the_papers_counts():
    frame = tables.TABLES[10].build(loaded(table_10_states()), study())
    counts, ratios = frame[:9], frame[9:].set_index("stage")
    assert list(counts["count"]) == list(counts["paper_count"])
    assert list(counts["share"]) == pytest.approx(list(counts["paper_share"]))
    for stage, expected in ((category_counts.OVER_ONE_STAGE, 0.0747), (category_counts.OVER_GROWTH, 0.2403)):
        assert ratios.loc[stage, "share"] == ratios.loc[stage, "paper_share"]
        assert ratios.loc[stage, "share"] == pytest.approx(expected, abs=1e-4)
        assert ratios["share_low"].isna().all()


def test_ratios_without_growth_say_why():
    ratios = category_counts.growths(10, 10, 12)
    assert ratios[category_counts.OVER_ONE_STAGE] == (0.2, "")
    assert "no more HighlyKnown facts than Origin" in ratios[category_counts.OVER_GROWTH][1]
    assert "no HighlyKnown" in category_counts.growths(0, 0, 1)[category_counts.OVER_ONE_STAGE][1]
    labels = ["HighlyKnown", "MaybeKnown"]
    frame = tables.TABLES[10].build(loaded({("origin", 0): labels, (RUN1, 0): labels, (RUN2, 0): labels}), study())
    assert "| n/a: One-Stage has no more HighlyKnown facts than Origin |" in tables.render(10, frame)


# Table 7


def evaluation(
    n_right: dict[str, dict[int, int]], n: int = 100, epochs: dict[str, int] | None = None, seed: int = 0
) -> Results:
    """Results of states whose first so many test facts are right, by epoch."""
    made: Results = {}
    for state, by_epoch in n_right.items():
        accuracy, grades = [], []
        for epoch, right in by_epoch.items():
            accuracy.append({"epoch": epoch, "split": "test", "n": n, "right": right, "accuracy": right / n})
            accuracy.append({"epoch": epoch, "split": "dev", "n": n, "right": 1, "accuracy": 1 / n})
            grades += [
                {"epoch": epoch, "split": "test", "fact_id": f"{i:016x}", "substring": i < right} for i in range(n)
            ]
        made[seed, "m", Need(ACCURACY, state)] = pd.DataFrame(accuracy)
        made[seed, "m", Need(GRADES, state)] = pd.DataFrame(grades)
        if state != "origin":
            epoch = (epochs or {}).get(state, 1)
            made[seed, "m", Need(CHOSEN, state)] = {"epoch": epoch, "chosen_on": "dev"}
    return made


def test_table_7_at_the_chosen_epoch_and_at_the_best():
    made = evaluation({"origin": {0: 30}, RUN1: {1: 33, 2: 35}, RUN2: {1: 40, 2: 38}})
    frame = tables.TABLES[7].build(made, study()).set_index("stage")
    assert list(frame["percent"]) == pytest.approx([30, 33, 40])
    assert list(frame["max_over_epochs_percent"]) == pytest.approx([30, 35, 40])
    assert list(frame["epoch"]) == ["0", "1", "1"] and list(frame["max_epoch"]) == ["0", "2", "1"]
    assert list(frame["paper_max_percent"]) == [29.93, 32.98, 33.80]
    assert list(frame["paper_gain_points"][1:]) == [3.05, 0.82]
    assert list(frame["gain_points"][1:]) == pytest.approx([3, 7])
    # Three facts gained, none lost: 2 * 0.5 ** 3.
    assert frame.loc["One-Stage", "mcnemar_p"] == pytest.approx(0.25)
    wilson = statistics.wilson(30, 100)
    assert frame.loc["Origin", "percent_low"] == pytest.approx(100 * wilson.low)
    assert pd.isna(frame.loc["Origin", "gain_points"])


def test_table_7_over_seeds():
    made = evaluation({"origin": {0: 30}, RUN1: {1: 33}, RUN2: {1: 40}})
    made |= evaluation({"origin": {0: 32}, RUN1: {1: 37, 2: 35}, RUN2: {1: 40}}, epochs={RUN1: 2}, seed=1)
    frame = tables.TABLES[7].build(made, study(seeds=(0, 1))).set_index("stage")
    assert frame.loc["One-Stage", "percent"] == pytest.approx(34)
    assert frame.loc["One-Stage", "gain_points"] == pytest.approx(3)
    assert frame.loc["One-Stage", "epoch"] == "1 2"
    assert frame.loc["Two-Stage", "gain_points_low"] < 6 < frame.loc["Two-Stage", "gain_points_high"]
    assert frame["mcnemar_p"].isna().all()
    assert frame.loc["One-Stage", "max_over_epochs_percent"] == pytest.approx(35)


def test_table_7_refuses_results_that_disagree():
    made = evaluation({"origin": {0: 30}, RUN1: {1: 33}, RUN2: {1: 40}})
    with pytest.raises(InputError, match=r"chosen\.json, key 'chosen_on'.*'dev'; expected 'test'"):
        tables.TABLES[7].build(made, study(choose_on="test"))
    with pytest.raises(InputError, match="key 'exact'"):
        tables.TABLES[7].build(made, study(scoring="exact"))
    wrong = made | {(0, "m", Need(CHOSEN, RUN1)): {"epoch": 9, "chosen_on": "dev"}}
    with pytest.raises(InputError, match="chosen epoch 9"):
        tables.TABLES[7].build(wrong, study())
    grades = made[0, "m", Need(GRADES, RUN1)]
    with pytest.raises(InputError, match="33 of 100, as in accuracy.csv"):
        tables.TABLES[7].build(made | {(0, "m", Need(GRADES, RUN1)): grades[1:]}, study())
    renamed = grades.assign(fact_id=[f"{i:016x}" for i in range(1000, 1100)])
    with pytest.raises(InputError, match="not those of the stage before"):
        tables.TABLES[7].build(made | {(0, "m", Need(GRADES, RUN1)): renamed}, study())


# Several seeds, missing cells


def test_intervals_over_seeds_are_students():
    made = loaded({("origin", 0): ["HighlyKnown"] * 3 + ["Unknown"] * 7})
    made |= loaded({("origin", 0): ["HighlyKnown"] * 5 + ["Unknown"] * 15}, seed=1)
    made |= loaded({("origin", 0): ["HighlyKnown"] * 2 + ["Unknown"] * 8}, seed=2)
    row = tables.TABLES[2].build(made, study(seeds=(0, 1, 2))).iloc[0]
    expected = statistics.mean_interval([0.3, 0.25, 0.2])
    assert (row["share"], row["share_low"], row["share_high"]) == pytest.approx(tuple(expected))
    assert row["count"] == pytest.approx(10 / 3) and row["n"] == pytest.approx(40 / 3) and row["seeds"] == 3


def test_ratios_over_seeds_have_an_interval():
    high, low = "HighlyKnown", "Unknown"
    made: Results = {}
    for seed, (one, two) in enumerate([(4, 6), (5, 6)]):
        counts = {"origin": 2, RUN1: one, RUN2: two}
        made |= loaded({(s, 0): [high] * k + [low] * (10 - k) for s, k in counts.items()}, seed=seed)
    row = tables.TABLES[10].build(made, study(seeds=(0, 1))).iloc[-1]
    assert row["share"] == pytest.approx((2 / 2 + 1 / 3) / 2) and row["share_low"] < row["share"] < row["share_high"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (probe(["HighlyKnown"]), "lacks 1 train facts and has 0 others"),
        (probe(["HighlyKnown"] * 3), "lacks 0 train facts and has 1 others"),
        (probe(["HighlyKnown", None]), "row 2, key 'category': the cell is empty"),
        (probe(["HighlyKnown", "Known"]), "the category 'Known'"),
        (probe(["HighlyKnown", "WeaklyKnown & Unknown"]), "the category 'WeaklyKnown & Unknown'"),
        (pd.concat([probe(["HighlyKnown"])] * 2), "row 2, key 'fact_id': the fact occurs twice"),
        (probe(["HighlyKnown"] * 2).drop(columns="category"), "a column 'category'"),
    ],
)
def test_a_broken_probe_is_refused(broken, message):
    made = {(0, "", Need(FACTS)): fact_table(2), (0, "m", Need(CATEGORIES, "origin")): broken}
    with pytest.raises(InputError) as error:
        tables.TABLES[2].build(made, study())
    assert message in str(error.value) and "seed0/m/origin/probe-0/categories.parquet" in str(error.value)


def test_a_missing_seed_is_an_error():
    with pytest.raises(InputError, match=r"seed1/m/origin/probe-0.*missing"):
        tables.TABLES[2].build(loaded({("origin", 0): list(knowledge.FULL)}), study(seeds=(0, 1)))


def test_different_facts_in_two_probes():
    before, after = pd.Series(["HighlyKnown"], index=["a"]), pd.Series(["HighlyKnown"], index=["b"])
    with pytest.raises(InputError, match="the same facts in both"):
        results.cross(before, after, knowledge.FULL, knowledge.GREEDY_ONLY)


# What a table needs


CONFIG = {
    "seeds": [0, 1],
    "models": {"qwen2": {"label": "tiny Qwen2", "paper": "Qwen2-7B"}, "other": {"label": "other", "paper": None}},
    "probe": {"retests": 1},
    "tables": {"one_stage": RUN1, "two_stage": RUN2},
    "scoring": "substring",
    "choose_on": "dev",
}


def test_needs_of_each_table():
    origin, one, two = (Need(CATEGORIES, state) for state in ("origin", RUN1, RUN2))
    retest = Need(CATEGORIES, "origin", 1)
    assert tables.needs(2, CONFIG) == [Need(FACTS), origin]
    assert tables.needs(3, CONFIG) == [Need(FACTS), origin, one, retest]
    assert tables.needs(4, CONFIG) == [Need(FACTS), origin, retest]
    assert tables.needs(10, CONFIG) == [Need(FACTS), origin, one, two]
    assert tables.needs(7, CONFIG) == [
        *(Need(kind, state) for kind in (ACCURACY, GRADES) for state in ("origin", RUN1, RUN2)),
        Need(CHOSEN, RUN1),
        Need(CHOSEN, RUN2),
    ]


def test_inputs_are_the_files_of_every_seed_and_model():
    assert tables.inputs(2, CONFIG) == [
        "seed0/facts.parquet",
        "seed0/qwen2/origin/probe-0/categories.parquet",
        "seed0/other/origin/probe-0/categories.parquet",
        "seed1/facts.parquet",
        "seed1/qwen2/origin/probe-0/categories.parquet",
        "seed1/other/origin/probe-0/categories.parquet",
    ]


def test_table_4_needs_a_retest():
    config = CONFIG | {"probe": {"retests": 0}}
    assert Need(CATEGORIES, "origin", 1) not in tables.needs(3, config)
    with pytest.raises(InputError, match=r"probe\.retests"):
        tables.needs(4, config)


def test_layout_takes_wildcards():
    assert layout.categories("{seed}", "{model}", "{state}", "{probe}") == (
        "seed{seed}/{model}/{state}/probe-{probe}/categories.parquet"
    )
    assert layout.table_csv(2) == "tables/table_02.csv" and layout.table_csv("{number}") == "tables/table_{number}.csv"


# Scripts


def write_results(root: Path) -> None:
    """A whole small study below root, for one seed and one model."""
    origin = ["HighlyKnown", "MaybeKnown", "MaybeKnown", "WeaklyKnown", "Unknown"]
    trained = ["HighlyKnown", "HighlyKnown", "MaybeKnown", "MaybeKnown", "WeaklyKnown & Unknown"]
    last = ["HighlyKnown", "HighlyKnown", "HighlyKnown", "MaybeKnown", "WeaklyKnown & Unknown"]
    made = loaded({("origin", 0): origin, ("origin", 1): origin, (RUN1, 0): trained, (RUN2, 0): last})
    made |= evaluation({"origin": {0: 300}, RUN1: {1: 330}, RUN2: {1: 1200}}, n=1500)
    for (seed, model, need), value in made.items():
        file = root / results.path(need, seed, model)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".parquet":
            value.to_parquet(file)
        elif file.suffix == ".csv":
            value.to_csv(file, index=False)
        else:
            file.write_text(json.dumps(value))


MODELS = json.dumps({"m": {"label": "tiny Qwen2", "paper": "Qwen2-7B"}})


def arguments(root: Path, number: int) -> list[str]:
    return [
        *("--number", str(number), "--results", str(root), "--seeds", "0", "--models", MODELS),
        *("--one-stage", RUN1, "--two-stage", RUN2, "--retests", "1", "--scoring", "substring", "--choose-on", "dev"),
        *("--csv", str(root / layout.table_csv(number)), "--markdown", str(root / layout.table_markdown(number))),
    ]


def test_scripts_write_every_table_and_join_them(tmp_path):
    write_results(tmp_path)
    for number, spec in tables.TABLES.items():
        write_table.main(arguments(tmp_path, number))
        frame = pd.read_csv(tmp_path / layout.table_csv(number))
        text = (tmp_path / layout.table_markdown(number)).read_text()
        assert text == tables.render(number, frame)
        assert text.startswith(f"Table {number}: {spec.caption}\n\n| Model")
        assert "beside the paper's Qwen2-7B" in text and "`substring`" in text and "1 seed." in text
        assert "nan" not in text
    assert "| 34,426 | 20.4 | 1 | 20.0 |" in " ".join((tmp_path / layout.table_markdown(2)).read_text().split())
    third = (tmp_path / layout.table_markdown(3)).read_text()
    assert "**4,889**" in third and "Epochs are chosen on dev." in third and "**3,952**" not in third
    seventh = (tmp_path / layout.table_markdown(7)).read_text()
    assert "33.80" in seventh and "< 0.001" in seventh and "1,500" in seventh

    output = tmp_path / layout.tables()
    files = [str(tmp_path / layout.table_markdown(number)) for number in (2, 10)]
    heading = ["--study", "default", "--seeds", "0", "1", "--models", "tiny Qwen2", "B", "--output", str(output)]
    collect_tables.main(["--tables", *files, *heading])
    text = output.read_text()
    assert text.startswith("# Tables of the study default\n")
    assert "Models: tiny Qwen2, B. Seeds: 0, 1." in text
    assert 0 < text.index("Table 2:") < text.index("Table 10:")
    with pytest.raises(InputError, match=r"absent\.md"):
        collect_tables.main(["--tables", str(tmp_path / "absent.md"), *heading])


def test_the_csv_has_counts_as_integers(tmp_path):
    write_results(tmp_path)
    write_table.main(arguments(tmp_path, 10))
    assert ",34426," in (tmp_path / layout.table_csv(10)).read_text()
    frame = whole(pd.DataFrame({"count": [1.0, None], "n": [1.5, 2.0], "share": [1.0, 1.0]}))
    assert list(map(str, frame.dtypes)) == ["Int64", "float64", "float64"]


def test_a_missing_file_is_an_error_and_nothing_is_written(tmp_path):
    write_results(tmp_path)
    (tmp_path / layout.categories(0, "m", RUN1)).unlink()
    with pytest.raises(InputError, match="seed0/m/stage1/probe-0/categories.parquet"):
        write_table.main(arguments(tmp_path, 3))
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"m": {"paper": null}}'])
def test_models_that_cannot_be_used(text):
    with pytest.raises(InputError, match="--models"):
        write_table.parse_models(text)


def test_a_model_that_the_paper_does_not_report():
    labels = ["HighlyKnown", "MaybeKnown", "Unknown"]
    made = loaded({("origin", 0): labels, ("origin", 1): labels})
    text = tables.render(4, tables.TABLES[4].build(made, study(paper_model="LLaMA3-8B")))
    assert "The paper reports Qwen2-7B only." in text and "| – " in " ".join(text.split())
    alone = tables.render(4, tables.TABLES[4].build(made, study(paper_model=None)))
    assert "beside nothing of the paper's" in alone and "only." not in alone
