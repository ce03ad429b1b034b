"""What each table needs and is told of a study, and the scripts that write every table."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import collect_tables
import write_table
from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.study.result_files import (
    ACCURACY,
    ADAPTER,
    CATEGORIES,
    CHANCE,
    EVALUATION,
    FACTS,
    GRADES,
    PROBE_GRADES,
    SELECTION,
    TABLE_CSV,
    TABLE_MARKDOWN,
    TABLES,
    Result,
    path,
    path_of,
)
from gradual.tables import markdown, reading, registry
from gradual.tables.gradual_learning import graph, paper
from gradual.tables.gradual_learning.roles import Study, study_of
from gradual.tables.head import head
from gradual.tables.markdown import title, whole
from gradual.tables.spec import Model, parse_study, settings_of
from gradual.tables.table_csv import read_table
from made_up import (
    LONGER,
    ORIGIN,
    REPLAY,
    RUN1,
    RUN2,
    RUNS,
    STRATEGIES,
    evaluation,
    fact_table,
    loaded,
    transitions,
    whole_results,
    whole_study,
    write_results,
)
from page_width import fits, markdown_tables, width

ROOT = Path(__file__).resolve().parents[3]
TABLES_OF_GL = registry.GRADUAL_LEARNING.tables
RATIOS = {run: ratio for run, ratio in REPLAY.items() if ratio}
CONFIG: dict[str, Any] = {
    "seeds": [0, 1],
    "models": {  # not in the order of the alphabet
        "qwen2": {"label": "tiny Qwen2", "paper": "Qwen2-7B", "runs": None},
        "other": {"label": "other", "paper": None, "runs": [RUN1, RUN2]},
        "bare": {"label": "bare", "paper": None, "runs": []},
    },
    "probe": {"retests": 1, "counts": "exact"},
    "training": yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["training"],
    "runs": {
        run: {"from": ORIGIN, "select": {ORIGIN: ["MaybeKnown"]}}
        | ({"epochs": LONGER[run]} if run in LONGER else {})
        | ({"replay": {"category": "HighlyKnown", "ratio": RATIOS[run]}} if run in RATIOS else {})
        for run in RUNS
    },
    "tables": {
        "one_stage": RUN1,
        "two_stage": RUN2,
        "longer": list(LONGER),
        "strategies": list(STRATEGIES),
        "rounds": ["round3"],
        "controls": {"one_stage": ["random"], "two_stage": ["train_on"]},
        "replay": list(REPLAY),
        "frequent_share": 0.05,
    },
    "scoring": "substring",
    "choose_on": "dev",
    "answers": "first",
}
MODELS = ("qwen2", "other", "bare")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Few random draws, because no test here is about the intervals and p-values that come from them."""
    monkeypatch.setattr(graph, "PERMUTATIONS", 10)
    monkeypatch.setattr(statistics, "of_facts", partial(statistics.of_facts, resamples=20))


def changed(*path: str, value: Any) -> dict[str, Any]:
    """The config with another value at a path."""
    config = deepcopy(CONFIG)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


def evaluated(*runs: str) -> set[Result]:
    """The files of evaluated states."""
    chosen = {Result(ADAPTER, run) for run in runs if run != ORIGIN}
    return {Result(kind, run) for kind in (ACCURACY, GRADES) for run in runs} | chosen


def categories(*states: str) -> set[Result]:
    return {Result(CATEGORIES, state) for state in states}


AGAIN, TEST, FACTS_NEED = Result(CATEGORIES, ORIGIN, 1), Result(CATEGORIES, ORIGIN, 0, "test"), Result(FACTS)
STAGES = (ORIGIN, RUN1, RUN2)
GUESSING = {"guessing", "guessing_by_relation"}


# What a table needs


@pytest.mark.parametrize(
    ("name", "models", "expected"),
    [
        ("table_02", MODELS, {FACTS_NEED, *categories(ORIGIN)}),
        ("table_03", MODELS[:2], {FACTS_NEED, AGAIN, *categories(ORIGIN, RUN1)}),
        ("table_04", MODELS, {FACTS_NEED, AGAIN, *categories(ORIGIN)}),
        ("table_05", MODELS[:2], {FACTS_NEED, *categories(ORIGIN, RUN1)}),
        ("table_06", MODELS[:1], evaluated(*LONGER)),
        ("table_07", MODELS[:2], {FACTS_NEED, *evaluated(*STAGES, "random", "train_on")}),
        ("table_08", MODELS[:1], evaluated(RUN1, *STRATEGIES)),
        ("table_09", MODELS[:1], {FACTS_NEED, TEST, *evaluated(RUN1, *STRATEGIES)}),
        ("table_10", MODELS[:2], {FACTS_NEED, *categories(*STAGES)}),
        ("table_11", MODELS[:1], evaluated(RUN1, RUN2, "round3")),
        ("table_12", MODELS[:2], {FACTS_NEED, *categories(RUN1, RUN2)}),
        (
            "controls",
            MODELS[:1],
            evaluated(*STAGES, "random", "train_on")
            | {Result(SELECTION, run) for run in (RUN1, RUN2, "random", "train_on")},
        ),
        *(
            (name, MODELS[:2], {FACTS_NEED, *evaluated(*states), *(Result(EVALUATION, state) for state in states)})
            for states in [(*STAGES, "random", "train_on")]
            for name in sorted(GUESSING)
        ),
        ("replay", MODELS[:1], evaluated(RUN1, *REPLAY) | {Result(SELECTION, run) for run in REPLAY}),
        ("scoring", MODELS[:2], {Result(PROBE_GRADES), *evaluated(*STAGES)}),
        ("chance", MODELS, {Result(CHANCE)}),
    ],
)
def test_needs_of_each_table(name, models, expected):
    found = registry.needs(name, CONFIG)
    assert tuple(found) == models
    assert set(found["qwen2"]) == expected and len(found["qwen2"]) == len(expected)


@pytest.mark.parametrize("name", TABLES_OF_GL)
def test_what_counts_answers_refuses_a_settled_probe(name):
    """Categories are all that is left of it; a table of anything else would be wrong."""
    study = changed("probe", "counts", value="settled")
    if name not in ("scoring", "chance"):
        kinds = {need.kind for needs in registry.needs(name, study).values() for need in needs}
        assert kinds <= {FACTS, CATEGORIES, SELECTION, ACCURACY, GRADES, ADAPTER, EVALUATION}
        return
    with pytest.raises(InputError, match="probe.counts is settled; expected .* tables.show without scoring and chance"):
        registry.needs(name, study)


def test_the_claims_need_what_a_model_has():
    found = registry.needs("claims", CONFIG)
    both = {FACTS_NEED, AGAIN, Result(SELECTION, RUN1), *categories(*STAGES), *evaluated(*STAGES)}
    assert set(found["other"]) == both and tuple(found) == MODELS[:2]
    others = {*STRATEGIES, *LONGER, "round3", "random", "train_on"}
    assert set(found["qwen2"]) == both | {TEST} | evaluated(*others) | categories("train_on")


def test_table_7_needs_the_first_control_of_each_stage_where_the_model_has_it():
    assert set(registry.needs("table_07", CONFIG)["other"]) == {FACTS_NEED, *evaluated(*STAGES)}
    controls = {"one_stage": ["strategy1", "random"], "two_stage": []}
    found = registry.needs("table_07", changed("tables", "controls", value=controls))
    assert set(found["qwen2"]) == {FACTS_NEED, *evaluated(*STAGES, "strategy1")}
    assert set(found["other"]) == {FACTS_NEED, *evaluated(*STAGES)}


@pytest.mark.parametrize("name", sorted(GUESSING))
def test_the_tables_of_guessing_tell_of_every_control_that_a_model_has(name):
    controls = {"one_stage": ["random", "strategy1", "replay10"], "two_stage": []}
    found = registry.needs(name, changed("tables", "controls", value=controls))
    assert {need.state for need in found["qwen2"]} == {*STAGES, "random", "strategy1", "replay10"}
    assert {need.state for need in found["other"]} == {*STAGES}


def test_every_table_reads_no_more_than_it_needs():
    study, made = whole_study(), whole_results()
    for name, spec in TABLES_OF_GL.items():
        needs = {"m": spec.needs(study, study.models["m"])}
        given = {key: made[key] for key in reading.keys(study, needs)}
        assert len(spec.build(given, study)) > 0, name
        for key in given:  # and all of it
            with pytest.raises(InputError, match="is missing"):
                spec.build({other: value for other, value in given.items() if other != key}, study)


def test_a_model_without_the_runs_is_left_out_of_the_table():
    full = whole_study()
    study = Study(**full.__dict__ | {"models": full.models | {"bare": Model("bare", None, ())}})
    for name in ("table_03", "table_07", "table_10", "table_11", "controls", "claims", *GUESSING):
        spec = TABLES_OF_GL[name]
        told = parse_study(Study, settings_of(spec, study))
        assert list(told.models) == ["m"], name
        assert set(spec.build(whole_results(), told)["model"]) == {"m"}


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("table_04", changed("probe", "retests", value=0), r"Table 4 is about; expected them in probe\.retests and"),
        ("table_06", changed("tables", "longer", value=[]), r"Table 6 is about; expected them in tables\.longer and"),
        ("table_08", changed("tables", "strategies", value=[]), r"tables\.one_stage, tables\.strategies and"),
        ("table_09", changed("tables", "strategies", value=[]), "Table 9"),
        ("table_11", changed("tables", "rounds", value=[]), r"tables\.rounds"),
        ("replay", changed("tables", "replay", value=[]), r"Replay is about.*tables\.replay"),
        (
            "controls",
            changed("tables", "controls", value={"one_stage": [], "two_stage": []}),
            r"tables\.one_stage, tables\.two_stage, tables\.controls\.one_stage, tables\.controls\.two_stage and",
        ),
        ("claims", changed("models", value={"bare": CONFIG["models"]["bare"]}), "Claims is about"),
        ("table_07", changed("models", value={"bare": CONFIG["models"]["bare"]}), "Table 7 is about"),
    ],
)
def test_a_table_that_no_model_has_the_runs_of_is_refused(name, config, message):
    assert registry.needs(name, CONFIG)
    with pytest.raises(InputError, match=message) as error:
        registry.needs(name, config)
    assert error.value.key == "tables.show"


def test_without_a_retest_table_3_does_without():
    assert AGAIN not in registry.needs("table_03", changed("probe", "retests", value=0))["qwen2"]


def test_inputs_are_the_files_of_every_seed_and_model():
    assert registry.inputs("table_12", CONFIG) == [
        "seed0/facts.parquet",
        "seed0/qwen2/stage1/train-probe-0/categories.parquet",
        "seed0/qwen2/strategy5/train-probe-0/categories.parquet",
        "seed0/other/stage1/train-probe-0/categories.parquet",
        "seed0/other/strategy5/train-probe-0/categories.parquet",
        "seed1/facts.parquet",
        "seed1/qwen2/stage1/train-probe-0/categories.parquet",
        "seed1/qwen2/strategy5/train-probe-0/categories.parquet",
        "seed1/other/stage1/train-probe-0/categories.parquet",
        "seed1/other/strategy5/train-probe-0/categories.parquet",
    ]
    assert "seed1/qwen2/origin/test-probe-0/categories.parquet" in registry.inputs("table_09", CONFIG)


def test_the_needs_of_several_tables_come_once():
    found = registry.all_needs(["table_02", "table_12", "table_10"], CONFIG)
    assert found["qwen2"] == [FACTS_NEED, *(Result(CATEGORIES, state) for state in (ORIGIN, RUN1, RUN2))]
    assert found["bare"] == [FACTS_NEED, Result(CATEGORIES)]


def test_names_of_tables():
    assert [registry.name_of(shown) for shown in (2, 12, "claims")] == ["table_02", "table_12", "claims"]
    assert all(name == spec.name for name, spec in registry.TABLES.items())
    assert {spec.number for spec in TABLES_OF_GL.values()} == {*range(2, 13), None}
    assert len(registry.TABLES) == sum(len(package.tables) for package in registry.PACKAGES)  # no name is there twice


# What a table is told of the study


def through_json(settings: dict[str, Any]) -> Any:
    """The settings as a script gets them: Snakemake's params are JSON with sorted keys."""
    return json.loads(json.dumps(settings, sort_keys=True))


@pytest.mark.parametrize("name", list(TABLES_OF_GL))
def test_settings_tell_a_table_the_same_as_the_study(name):
    spec, study = TABLES_OF_GL[name], study_of(CONFIG)
    told = parse_study(Study, through_json(settings_of(spec, study)))
    needs = {key: spec.needs(study, model) for key, model in study.models.items() if spec.needs(study, model)}
    assert {key: spec.needs(told, model) for key, model in told.models.items()} == needs
    assert list(told.models) == list(needs)
    for field in ("seeds", "scoring", *spec.uses):
        assert getattr(told, field) == getattr(study, field)
    for field in ("longer", "replay"):  # rows come in this order
        assert list(getattr(told, field).items()) == (list(getattr(study, field).items()) if field in spec.uses else [])


def test_the_study_is_read_from_the_config():
    study = study_of(CONFIG)
    assert study.longer == {RUN1: 10, "stage1_25": 25} and study.replay == {"strategy4": 0, "replay10": 0.1, RUN2: 0.2}
    assert study.models["qwen2"].runs == RUNS and study.models["other"].runs == (RUN1, RUN2)
    assert study.stages == {"Origin": ORIGIN, "One-Stage": RUN1, "Two-Stage": RUN2}
    assert (study.rounds, study.one_stage_controls, study.two_stage_controls) == (
        ("round3",),
        ("random",),
        ("train_on",),
    )


@pytest.mark.parametrize(
    ("config", "remade"),
    [
        (changed("tables", "rounds", value=["train_on"]), {"table_11", "claims"}),
        (changed("tables", "replay", value=[RUN2]), {"replay"}),
        (changed("tables", "longer", value=[RUN1]), {"table_06", "claims"}),
        (changed("tables", "strategies", value=[RUN2]), {"table_08", "table_09", "claims"}),
        (
            changed("tables", "controls", value={"one_stage": [], "two_stage": ["train_on"]}),
            {"table_07", "controls", "claims", *GUESSING},
        ),
        (changed("probe", "retests", value=0), {"table_03", "claims"}),
        (changed("choose_on", value="test"), set(TABLES_OF_GL) - {"table_02", "table_04", "chance"}),
        (
            changed("tables", "two_stage", value="strategy4"),
            {"table_07", "table_10", "table_11", "table_12", "controls", "scoring", "claims", *GUESSING},
        ),
        (changed("scoring", value="exact"), set(TABLES_OF_GL)),
        (
            changed("answers", value="any"),
            {"table_07", "claims", *GUESSING},
        ),  # by itself: others follow from their grades
        (changed("tables", "frequent_share", value=0.1), {"claims", *GUESSING}),
        (changed("seeds", value=[0]), set(TABLES_OF_GL)),
        (changed("training", "epochs", value=7), set()),
        (changed("models", "other", "runs", value=[RUN1, RUN2, "replay10"]), set()),  # no table tells of it alone
        (changed("models", "bare", "label", value="x"), {"table_02", "table_04", "chance"}),
    ],
)
def test_a_change_of_the_config_re_makes_the_tables_that_use_it(config, remade):
    def told(config: dict[str, Any], name: str) -> str:
        return json.dumps(settings_of(TABLES_OF_GL[name], study_of(config)), sort_keys=True)

    # Table 4 has nothing to say without a re-probe: it cannot be shown, so that it need not be re-made.
    names = set(TABLES_OF_GL) - ({"table_04"} if config["probe"]["retests"] == 0 else set())
    assert {name for name in names if told(config, name) != told(CONFIG, name)} == remade


@pytest.mark.parametrize(
    "settings",
    [{}, [], "x", None, {"models": {"m": {"paper": None}}}, {"models": ["m"]}, {"models": {}, "seeds": [0], "what": 1}],
)
def test_settings_that_cannot_be_used(settings):
    with pytest.raises(InputError, match="--study"):
        parse_study(Study, settings)


# Scripts


def paper_study(root: Path) -> Study:
    """The whole study below root; its probes have the paper's counts."""
    before, after = transitions(paper.values(3, "Qwen2-7B"))
    states = {(ORIGIN, 0): before, (ORIGIN, 1): before, (RUN1, 0): after, (RUN2, 0): after, ("train_on", 0): after}
    made = whole_results() | loaded(states)
    made[0, "", Result(FACTS)] = fact_table(len(before), 10)
    write_results(root, made)
    return whole_study()


def arguments(root: Path, name: str, study: Study) -> list[str]:
    return [
        *("--table", name, "--results", str(root)),
        *("--study", json.dumps(settings_of(TABLES_OF_GL[name], study), sort_keys=True)),
        *(
            "--csv",
            str(root / path(TABLE_CSV, table=name)),
            "--markdown",
            str(root / path(TABLE_MARKDOWN, table=name)),
        ),
    ]


def cells(text: str) -> list[list[str]]:
    """The rows of a text's only table, below its header."""
    ((_, *body),) = markdown_tables(text)
    return body


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("name", list(TABLES_OF_GL))
def test_scripts_write_every_table(tmp_path, name, seeds):
    for seed in seeds:
        write_results(tmp_path, whole_results(seed))
    study = whole_study(seeds)
    study.models["m"] = Model("tiny | Qwen2", "Qwen2-7B", RUNS)
    write_table.main(arguments(tmp_path, name, study))
    spec, frame = TABLES_OF_GL[name], pd.read_csv(tmp_path / path(TABLE_CSV, table=name))
    text = (tmp_path / path(TABLE_MARKDOWN, table=name)).read_text()
    assert text == registry.render(name, frame)
    assert text.startswith(f"{title(spec)}: {spec.caption}\n\n") and "tiny | Qwen2" not in text
    for table, part in zip(markdown_tables(text), spec.parts, strict=True):
        header, *body = table
        assert header == [column.header for column in part.columns] and len(body) == len(part.rows(frame)) > 0
        assert {len(row) for row in body} == {len(header)}
        assert not {"nan", "None", "", "NaN"} & {cell for row in body for cell in row}
        assert fits(table), (part.heading, width(table))
    assert [part.heading for part in spec.parts if f"{part.heading}:\n\n| " in text or not part.heading]


def test_each_of_several_models_has_a_table_below_its_name(tmp_path):
    write_results(tmp_path, whole_results())
    write_table.main(arguments(tmp_path, "scoring", whole_study()))
    one = read_table(tmp_path / path(TABLE_CSV, table="scoring"))
    two = registry.render("scoring", pd.concat([one, one.assign(model="n", label="007 | b")]))
    headings = re.findall(r"^(.+):$", two, re.MULTILINE)
    parts = [part.heading for part in TABLES_OF_GL["scoring"].parts]
    assert headings == [f"{label}, {part}" for label in ("tiny Qwen2", "007 | b") for part in parts]
    assert len(markdown_tables(two)) == 4 and markdown_tables(two)[:2] == markdown_tables(two)[2:]
    assert markdown_tables(registry.render("scoring", one)) == markdown_tables(two)[:2]


def test_cells_of_one_seed_read_back_from_the_csv(tmp_path):
    write_results(tmp_path, whole_results())
    for name in ("table_05", "table_07"):
        write_table.main(arguments(tmp_path, name, whole_study()))
    body = cells((tmp_path / path(TABLE_MARKDOWN, table="table_07")).read_text())
    states = ("Majority answer", "Origin", "One-Stage", "Two-Stage")
    assert [row[0] for row in body] == [*states, "Control of One-Stage: random", "Control of Two-Stage: train_on"]
    assert body[0][-1] == body[1][-1] == "–"  # no gain
    body = cells((tmp_path / path(TABLE_MARKDOWN, table="table_05")).read_text())
    assert [ours for name, _, ours in body if name.startswith("p ")] == ["1.000", "1.000"]


def test_epochs_of_several_seeds_are_listed(tmp_path):
    write_results(tmp_path, whole_results() | whole_results(1) | evaluation({RUN1: {1: 5, 2: 6}}, 10, {RUN1: 2}, 1))
    write_table.main(arguments(tmp_path, "table_07", whole_study((0, 1))))
    rows = pd.read_csv(tmp_path / path(TABLE_CSV, table="table_07")).set_index("name")
    assert rows.loc["One-Stage", "epoch"] == "1 2" and pd.isna(rows.loc["Majority answer", "epoch"])


def test_rows_come_in_the_order_of_the_config(tmp_path):
    write_results(tmp_path, whole_results())
    write_table.main(arguments(tmp_path, "replay", whole_study()))
    assert list(pd.read_csv(tmp_path / path(TABLE_CSV, table="replay"))["name"]) == ["strategy4", "replay10", RUN2]
    turned = whole_study(longer={"stage1_25": 25, RUN1: 10})
    write_table.main(arguments(tmp_path, "table_06", turned))
    assert list(pd.read_csv(tmp_path / path(TABLE_CSV, table="table_06"))["name"]) == [25, 10]


def test_the_papers_counts_in_markdown(tmp_path):
    study = paper_study(tmp_path)
    for name in ("table_02", "table_03"):
        write_table.main(arguments(tmp_path, name, study))
    second = (tmp_path / path(TABLE_MARKDOWN, table="table_02")).read_text()
    assert "| 34,426 | 20.4 | 34,426 | 20.4 [" in " ".join(second.split())
    third = (tmp_path / path(TABLE_MARKDOWN, table="table_03")).read_text()
    assert third.count("**4,889**") == 2 and "**3,952**" not in third
    assert ",34426," in (tmp_path / path(TABLE_CSV, table="table_02")).read_text()
    frame = whole(pd.DataFrame({"count": [1.0, None], "n": [1.5, 2.0], "share": [1.0, 1.0]}))
    assert list(map(str, frame.dtypes)) == ["Int64", "float64", "float64"]


def test_small_p_values_and_large_counts_in_markdown():
    assert [markdown.probability(p) for p in (0.0004, 0.25, None)] == ["< 0.001", "0.250", "–"]
    assert [markdown.count(n) for n in (1500.0, 1500.25, None)] == ["1,500", "1,500.2", "–"]


def test_the_tables_of_a_study_are_joined_in_order(tmp_path):
    write_results(tmp_path, whole_results())
    for name in ("table_02", "table_10", "claims"):
        write_table.main(arguments(tmp_path, name, whole_study()))
    output = tmp_path / path(TABLES)
    files = [str(tmp_path / path(TABLE_MARKDOWN, table=name)) for name in ("table_02", "table_10", "claims")]
    numbers = [str(tmp_path / path(TABLE_CSV, table=name)) for name in ("table_02", "table_10", "claims")]
    about = registry.about(["table_02", "table_10", "claims"], CONFIG | {"study": "default"})
    assert about["cited"] == ["Li et al. 2024 (arXiv 2410.05802)"] and set(about["facts"]) == {"table_02", "table_10"}
    heading = ["--about", json.dumps(about), "--unanswerable", "0.05", "--output", str(output), "--numbers", *numbers]
    heading += ["--answerable", *answerable(tmp_path, {"train": 0, "test": 0})]
    collect_tables.main(["--tables", *files, *heading])
    text = output.read_text()
    assert text.startswith("# Tables of the study default\n")
    assert (
        "Models: tiny Qwen2 (compared with the paper's Qwen2-7B), other (compared with no model of the paper)" in text
    )
    assert re.search(r"\. Facts: \d+ train facts\. Seeds: 0, 1\.", text) and "means over 2 seeds" in text
    assert "The rule `substring` decides whether an answer is right. Epochs are chosen on dev." in text
    assert 0 < text.index("Table 2:") < text.index("Table 10:") < text.index("Claims:")
    with pytest.raises(InputError, match=r"absent\.md"):
        collect_tables.main(["--tables", str(tmp_path / "absent.md"), *heading])


def answerable(folder, never):
    """The files of two models' counts, each with ten facts per split, `never` of which are without a possible answer."""
    counts = pd.DataFrame({"split": list(never), "facts": 10, "never": list(never.values())})
    files = [folder / f"answerable-{i}.csv" for i in range(2)]
    for file in files:
        counts.to_csv(file, index=False)
    return list(map(str, files))


@pytest.mark.parametrize(
    ("answers", "never", "told"),
    [
        ("first", {"train": 0, "dev": 0}, []),
        ("first", {"train": 3, "dev": 0, "test": 1}, ["of 6 of 20 train and of 2 of 20 test facts is possible within"]),
        ("any", {"train": 0}, ["by any of the fact's answers"]),
    ],
)
def test_the_head_of_the_tables_tells_which_answers_count_and_how_many_are_impossible(tmp_path, answers, never, told):
    (tmp_path / "table.md").write_text("Table 2: x\n")
    about = {"study": "s", "seeds": [0], "models": [["m", None]], "cited": ["paper"], "answers": answers}
    about |= {"scoring": "exact", "choose_on": "last", "facts": {"table": "test facts"}}
    pd.DataFrame({"n": [1741.0, 20.5]}).to_csv(tmp_path / "table.csv")
    heading = ["--about", json.dumps(about), "--output", str(tmp_path / "tables.md")]
    heading += ["--numbers", str(tmp_path / "table.csv")]
    heading += ["--tables", str(tmp_path / "table.md"), "--answerable", *answerable(tmp_path, never)]
    if any(never.values()):
        with pytest.raises(InputError, match=r"answerable-0.csv, .* 3 of 10 train facts .* at most 29%"):
            collect_tables.main([*heading, "--unanswerable", "0.29"])
    collect_tables.main([*heading, "--unanswerable", "0.3"])
    head = (tmp_path / "tables.md").read_text().partition("Table 2")[0]
    assert len(head.strip().split("\n\n")) == 5 + (any(never.values()))
    assert all(part in head for part in told) and ("any of the fact's answers" in head) == (answers == "any")
    assert "Facts: 1,741 or 20.5 test facts. Seeds: 0." in head and "from 1 seed" in head
    assert "The last epoch of every run counts." in head and "chosen on" not in head


def test_the_head_counts_facts_in_the_order_of_the_tables():
    """Whatever the order is in which the workflow tells of them: the same tables have the same head."""
    about = {"study": "s", "seeds": [0], "models": [["m", None]], "cited": ["paper"], "answers": "first"}
    about |= {"scoring": "exact", "choose_on": "last", "facts": {"b": "test facts", "a": "train facts"}}
    tables = {name: pd.DataFrame({"n": [n]}) for name, n in (("a", 800), ("none", 1), ("b", 500))}
    assert "Facts: 800 train facts and 500 test facts." in head(about, tables, [], "")


@pytest.mark.parametrize("label", ["NA", "null", "007", "1e5", "True", "a | b", "{seed} $HOME"])
def test_a_label_stays_as_it_is_in_every_table(label, tmp_path):
    write_results(tmp_path, whole_results())
    told = replace(whole_study(), models={"m": replace(whole_study().models["m"], label=label)})
    for name in ("table_02", "table_07", "claims"):
        write_table.main(arguments(tmp_path, name, told))
        frame = read_table(tmp_path / path(TABLE_CSV, table=name))
        assert set(frame["label"]) == {label}
        both = registry.render(name, pd.concat([frame, frame.assign(model="n", label="another")]))
        assert f"\n\n{label}:\n\n| " in both


def test_a_missing_file_is_an_error_and_nothing_is_written(tmp_path):
    write_results(tmp_path, whole_results())
    (tmp_path / path_of(Result(CATEGORIES, RUN1), 0, "m")).unlink()
    with pytest.raises(InputError, match="seed0/m/stage1/train-probe-0/categories.parquet"):
        write_table.main(arguments(tmp_path, "table_03", whole_study()))
    assert not (tmp_path / "tables").exists()


def test_an_unreadable_csv_is_an_error(tmp_path):
    write_results(tmp_path, whole_results())
    (tmp_path / path_of(Result(ACCURACY, RUN1), 0, "m")).write_text("")
    with pytest.raises(InputError, match=r"accuracy\.csv.*cannot be read"):
        write_table.main(arguments(tmp_path, "table_07", whole_study()))
