"""The table of runs of a config: their settings, the states that they need, and their chains of adapters."""

from dataclasses import asdict

from configs import COMPOSE, DEFAULT_RUNS, PREFERENCE, SAME, load, revised, with_runs
from gradual.study.result_files import ADAPTER
from gradual.study.runs import Preference, Replay, composed, probe_mode, runs, selected_states
from gradual.study.steps import adapter_chain
from gradual.training.settings import PreferenceSettings, SampleSettings


def test_a_run_with_samples_says_how_they_are_drawn_and_weighed_and_other_runs_have_none():
    given = {"objective": "preference", "preference": {"samples": 4, "bound": "none", "target": False}}
    table = runs(load(with_runs(x=SAME | given)))
    assert table["x"].preference == Preference(
        SampleSettings(samples=4, temperature=0.8, top_k=40, align="scoring"),
        PreferenceSettings(alpha=1.0, beta=0.2, bound="none", b=1.0, target=False),
    )
    assert {name for name, run in table.items() if run.preference} == {"x"}
    own = with_runs(x=SAME | {"objective": "cross_entropy", "preference": None})
    table = runs(load({"training": PREFERENCE} | own))
    assert {name for name, run in table.items() if not run.preference} == {"x"}


def test_runs_have_the_training_defaults_and_their_overrides():
    loaded = load()
    table = runs(loaded)
    trained = {k: v for k, v in loaded["training"].items() if k not in ("adapter", "preference")}
    trained["targets"] = tuple(trained["targets"])
    assert list(table) == list(DEFAULT_RUNS)
    assert asdict(table["stage1"].training) == trained and table["stage1"].replay is None
    assert asdict(table["strategy5"].training) == trained | {"learning_rate": 2.5e-4, "epochs": 4}
    assert table["strategy5"].parent == "stage1"
    assert table["strategy5"].size_of is None and table["random"].size_of == "stage1"
    assert table["strategy5"].replay == Replay(0.2, "stage1", "HighlyKnown")
    assert {name for name, run in table.items() if run.answers != "gold"} == {"drawn_answers"}
    assert table["drawn_answers"].select == table["stage1"].select and table["drawn_answers"].answers == "drawn"


def test_selected_states():
    replay = {"category": "HighlyKnown", "ratio": 0.2}
    study = with_runs(
        x=SAME | {"from": "stage1", "select": {"strategy5": ["MaybeKnown"], "origin": ["WeaklyKnown"]}},
        y=SAME | {"from": "x", "replay": replay},
        z=SAME | {"from": "x", "replay": replay | {"state": "stage1"}},
    )
    table = runs(load(study))
    assert selected_states(table["x"]) == ["origin", "strategy5"]
    assert selected_states(table["y"]) == ["origin", "x"]
    assert selected_states(table["z"]) == ["origin", "stage1"]


def test_adapter_chains():
    merge = {"adapter": "merge", "rank": 8}
    study = with_runs(
        merged=SAME | merge | {"from": "stage1"},
        more=SAME | {"from": "merged", "rank": 8},
        again=SAME | merge | {"from": "more"},
        fresh=SAME | merge,
    )
    table = runs(load(study))
    chains = {
        "origin": [],
        "stage1": ["stage1"],
        "strategy5": ["strategy5"],
        "merged": ["stage1", "merged"],
        "more": ["stage1", "more"],
        "again": ["stage1", "more", "again"],
        "fresh": ["fresh"],
    }
    found = {state: adapter_chain(table, state) for state in chains}
    assert {state: [result.state for result in chain] for state, chain in found.items()} == chains
    assert {result.kind for chain in found.values() for result in chain} == {ADAPTER}


def test_a_run_composes_the_adapters_of_all_runs_before_it():
    study = with_runs(
        mocl2=SAME | COMPOSE | {"from": "stage1", "rank": 8},  # another rank can be added up
        mocl3=SAME | COMPOSE | {"from": "mocl2"},
        merged=SAME | {"from": "mocl3", "adapter": "merge"},
        continued=SAME | {"from": "mocl3"},
        first=SAME | COMPOSE,
    )
    table = runs(load(study))
    before = {"mocl2": ["stage1"], "mocl3": ["stage1", "mocl2"], "first": [], "stage1": [], "merged": []}
    assert {name: composed(table[name], table) for name in before} == before
    assert [table[name].sharpness for name in ("mocl3", "first", "stage1")] == [8, 8, None]
    chains = {
        "mocl2": ["composition mocl2", "adapter mocl2"],
        "mocl3": ["composition mocl3", "adapter mocl3"],
        "merged": ["composition mocl3", "adapter mocl3", "adapter merged"],
        "continued": ["composition mocl3", "adapter continued"],
        "first": ["adapter first"],
    }
    assert {name: [f"{r.kind} {r.state}" for r in adapter_chain(table, name)] for name in chains} == chains


def test_a_run_that_composes_trains_as_one_that_merges():
    """What makes a composition is not among the settings of a training, so that other runs' trainings stay as they are."""
    study = with_runs(x=SAME | COMPOSE | {"from": "stage1"}, y=SAME | {"from": "stage1", "adapter": "merge"})
    table = runs(load(study))
    assert table["x"].training == table["y"].training


def test_a_method_composes_the_runs_of_its_stages_and_the_first_one():
    stage = {"facts": ["revised"], "answers": {"revision": 1}}
    study = revised(count=4, facts=60, kept=40, unrelated=60) | {
        "study": "mine",
        "tables": {"show": ["chance"]},
        "choose_on": "last",
        "stages": [stage | {"answers": {"revision": 0}}, stage, stage],
        "methods": {"mocl": COMPOSE},
    }
    table = runs(load(study))
    assert composed(table["mocl3"], table) == ["stage1", "mocl2"]


def test_probe_modes():
    assert [probe_mode(load(), state) for state in ("origin", "stage1")] == ["full", "greedy"]
    assert probe_mode(load({"probe": {"trained_states": "full"}}), "stage1") == "full"


def test_full_probes_tell_weakly_from_unknown():
    study = with_runs(x=SAME | {"from": "stage1", "select": {"stage1": ["WeaklyKnown"]}})
    load(study | {"probe": {"trained_states": "full"}})
