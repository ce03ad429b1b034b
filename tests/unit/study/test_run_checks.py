"""Configs that are refused for their runs, the training's settings, or the runs that a model has."""

import pytest

from configs import COMPOSE, PREFERENCE, REPLAY, SAME, TINY, assert_refused, with_runs, without

MALFORMED = {
    "two runs of one label": (
        with_runs(x=SAME | {"label": "A"}, y=SAME | {"label": "A"}),
        "runs.y.label",
        "'A', the name of runs.x; expected another label, because tables and figures show only the labels",
    ),
    "a label that is another run's name": (
        with_runs(x=SAME | {"label": "stage1"}),
        "runs.x.label",
        "'stage1', the name of runs.stage1",
    ),
    "unknown key": ({"training": {"rnk": 8}}, "training.rnk", "did you mean 'training.rank'"),
    "key that is no text": ({"runs": with_runs()["runs"] | {True: SAME}}, "runs.True", "quote it in YAML"),
    "unknown key of a run": (with_runs(x=SAME | {"epoch": 3}), "runs.x.epoch", "'runs.x.epochs'"),
    "null runs": ({"runs": None}, "runs", "a mapping"),
    "bad run name": (with_runs(**{"Stage-2": SAME}), "runs.Stage-2", "a name of lower-case letters"),
    "run that a table would read as a number": (with_runs(inf=SAME), "runs.inf", "no word for a value"),
    "run that a table would read as missing": (with_runs(nan=SAME), "runs.nan", "no word for a value"),
    "float for an integer": ({"training": {"epochs": 3.0}}, "training.epochs", "3.0; expected an integer"),
    "bool for an integer": ({"training": {"rank": True}}, "training.rank", "True; expected an integer"),
    "text for a number": ({"training": {"learning_rate": "5e-4"}}, "training.learning_rate", "write a point"),
    "not a number": ({"training": {"learning_rate": float("nan")}}, "training.learning_rate", "a number"),
    "batch of zero": ({"training": {"batch": 0}}, "training.batch", "at least 1"),
    "unknown target": ({"training": {"targets": ["lm_head"]}}, "training.targets[0]", "q_proj or k_proj"),
    "batch of no micro batches": ({"training": {"micro_batch": 5}}, "training.micro_batch", "a divisor of the batch"),
    "objective without its section": (
        with_runs(x=SAME | {"objective": "preference"}),
        "runs.x.preference",
        "missing; expected a section, because of objective: preference",
    ),
    "section without its objective": (
        with_runs(x=SAME | {"preference": {"beta": 1}}),
        "runs.x.preference",
        "given, but the objective is cross_entropy; expected null, or objective: preference",
    ),
    "section of all runs without its objective": (
        {"training": {"preference": {}}},
        "training.preference",
        "given, but the objective is cross_entropy",
    ),
    "run of another objective than all runs": (
        {"training": PREFERENCE} | with_runs(x=SAME | {"objective": "cross_entropy"}),
        "runs.x.preference",
        "expected null, or objective: preference",
    ),
    "preference of whole texts": (
        with_runs(x=SAME | PREFERENCE | {"loss_on": "text"}),
        "runs.x.loss_on",
        "answer, because the samples are answers",
    ),
    "replay without a loss": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"target": False}, "replay": REPLAY}),
        "runs.x.preference.target",
        "true, or no replay",
    ),
    "a limit of no bound": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"bound": "none", "b": 2.0}}),
        "runs.x.preference.b",
        "2.0 with bound: none, where it has no effect",
    ),
    "no loss at all": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"target": False, "alpha": 0, "beta": 0}}),
        "runs.x.preference.target",
        "so there is no loss",
    ),
    "unknown bound": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"bound": "dpo"}}),
        "runs.x.preference.bound",
        "'dpo'; expected npo or none",
    ),
    "unknown key of preference": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"gamma": 1}}),
        "runs.x.preference.gamma",
        "unknown key",
    ),
    "target that is no yes or no": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"target": 1}}),
        "runs.x.preference.target",
        "1; expected true or false",
    ),
    "a run's batch": (with_runs(x=SAME | {"batch": 40}), "runs.x.micro_batch", "a batch of 40 is not a multiple of 32"),
    "run without from": (with_runs(x=without(SAME, "from")), "runs.x.from", "this key"),
    "run without select": (with_runs(x=without(SAME, "select")), "runs.x.select", "this key"),
    "empty select": (with_runs(x=SAME | {"select": {}}), "runs.x.select", "at least one key"),
    "no categories": (with_runs(x=SAME | {"select": {"origin": []}}), "runs.x.select.origin", "at least one"),
    "unknown category": (
        with_runs(x=SAME | {"select": {"origin": ["Maybe"]}}),
        "runs.x.select.origin[0]",
        "HighlyKnown or MaybeKnown",
    ),
    "replay of everything twice": (
        with_runs(x=SAME | {"replay": {"category": "HighlyKnown", "ratio": 2}}),
        "runs.x.replay.ratio",
        "2; expected a number, more than 0 and at most 1",
    ),
    "run named base": (with_runs(base=SAME), "runs.base", "the folder of the base model"),
    "run named origin": (with_runs(origin=SAME), "runs.origin", "the untouched model"),
    "unknown parent": (with_runs(x=SAME | {"from": "stage_1"}), "runs.x.from", "did you mean 'stage1'"),
    "unknown state": (
        with_runs(x=SAME | {"select": {"orign": ["MaybeKnown"]}}),
        "runs.x.select.orign",
        "did you mean 'origin'",
    ),
    "unknown replay state": (
        with_runs(x=SAME | {"replay": {"category": "HighlyKnown", "ratio": 0.2, "state": "stag1"}}),
        "runs.x.replay.state",
        "did you mean 'stage1'",
    ),
    "run from itself": (with_runs(x=SAME | {"from": "x"}), "runs.x", "x needs x: a cycle"),
    "cycle of parents": (with_runs(x=SAME | {"from": "y"}, y=SAME | {"from": "x"}), "runs.", "a cycle"),
    "cycle through a selection": (
        with_runs(x=SAME | {"select": {"y": ["MaybeKnown"]}}, y=SAME | {"from": "x"}),
        "runs.",
        "states that exist before the run",
    ),
    "category of greedy probes": (
        with_runs(x=SAME | {"select": {"stage1": ["WeaklyKnown"]}}),
        "runs.x.select.stage1[0]",
        "because probe.trained_states is greedy",
    ),
    "category of full probes": (
        with_runs(x=SAME | {"select": {"origin": ["WeaklyKnown & Unknown"]}}),
        "runs.x.select.origin[0]",
        "WeaklyKnown or Unknown",
    ),
    "replayed category of greedy probes": (
        with_runs(x=SAME | {"from": "stage1", "replay": {"category": "Unknown", "ratio": 0.2}}),
        "runs.x.replay.category",
        "because probe.trained_states is greedy",
    ),
    "continued adapter of another rank": (
        with_runs(x=SAME | {"from": "stage1", "rank": 8}),
        "runs.x.rank",
        "64, as in the adapter of stage1 that it continues, or adapter: merge",
    ),
    "runs that are a list": ({"runs": ["stage1"]}, "runs", "['stage1']; expected a mapping"),
    "no such run to remove": ({"runs": {"stage_1": None}}, "runs.stage_1", "did you mean 'stage1'"),
    "a run that is no mapping": (with_runs(x="stage1"), "runs.x", "'stage1'; expected a mapping"),
    "a run's setting alone": (
        {"runs": {"stage1": {"from": "origin", "epochs": 3}}},
        "runs.stage1.select",
        "not merged",
    ),
    "a run from nothing": (with_runs(x=SAME | {"from": None}), "runs.x.from", "None; expected a text"),
    "a run from two": (with_runs(x=SAME | {"from": ["stage1"]}), "runs.x.from", "['stage1']; expected a text"),
    "select that is a list": (with_runs(x=SAME | {"select": ["MaybeKnown"]}), "runs.x.select", "a mapping"),
    "category that is no list": (
        with_runs(x=SAME | {"select": {"origin": "MaybeKnown"}}),
        "runs.x.select.origin",
        "'MaybeKnown'; expected a list of: HighlyKnown or",
    ),
    "category twice": (
        with_runs(x=SAME | {"select": {"origin": ["MaybeKnown"] * 2}}),
        "runs.x.select.origin",
        "none twice",
    ),
    "size of no run": (with_runs(x=SAME | {"size_of": "stage_1"}), "runs.x.size_of", "did you mean 'stage1'"),
    "size of the origin": (with_runs(x=SAME | {"size_of": "origin"}), "runs.x.size_of", "there is no run 'origin'"),
    "size that is a number": (with_runs(x=SAME | {"size_of": 30}), "runs.x.size_of", "30; expected the name of a run"),
    "size of itself": (with_runs(x=SAME | {"size_of": "x"}), "runs.x", "x needs x: a cycle"),
    "sizes of each other": (
        with_runs(x=SAME | {"size_of": "y"}, y=SAME | {"size_of": "x"}),
        "runs.",
        "states that exist before the run",
    ),
    "size of a child": (with_runs(x=SAME | {"size_of": "y"}, y=SAME | {"from": "x"}), "runs.", "a cycle"),
    "replay from a child": (
        with_runs(x=SAME | {"replay": REPLAY | {"state": "y"}}, y=SAME | {"from": "x"}),
        "runs.",
        "a cycle",
    ),
    "replay without ratio": (
        with_runs(x=SAME | {"replay": without(REPLAY, "ratio")}),
        "runs.x.replay.ratio",
        "this key",
    ),
    "replay that is a text": (with_runs(x=SAME | {"replay": "HighlyKnown"}), "runs.x.replay", "a mapping or null"),
    "replay of no category": (
        with_runs(x=SAME | {"replay": REPLAY | {"category": "Highly"}}),
        "runs.x.replay.category",
        "'Highly'; expected HighlyKnown or",
    ),
    "unknown key of a replay": (
        with_runs(x=SAME | {"replay": REPLAY | {"stat": "origin"}}),
        "runs.x.replay.stat",
        "did you mean 'runs.x.replay.state'",
    ),
    "a run's epochs": (with_runs(x=SAME | {"epochs": 0}), "runs.x.epochs", "0; expected an integer, at least 1"),
    "a run's learning rate": (with_runs(x=SAME | {"learning_rate": "1e-4"}), "runs.x.learning_rate", "write a point"),
    "a run's adapter": (
        with_runs(x=SAME | {"adapter": "new"}),
        "runs.x.adapter",
        "'new'; expected continue or merge or compose",
    ),
    "a composition without its settings": (
        with_runs(x=SAME | {"from": "stage1", "adapter": "compose"}),
        "runs.x.compose",
        "missing; expected this key, because of adapter: compose",
    ),
    "settings of a composition without one": (
        with_runs(x=SAME | {"from": "stage1", "compose": {"sharpness": 8}}),
        "runs.x.compose",
        "{'sharpness': 8}; expected it only with adapter: compose",
    ),
    "a composition without a sharpness": (
        with_runs(x=SAME | COMPOSE | {"from": "stage1", "compose": {}}),
        "runs.x.compose.sharpness",
        "missing",
    ),
    "a composition without any sharpness": (
        with_runs(x=SAME | COMPOSE | {"from": "stage1", "compose": {"sharpness": 0}}),
        "runs.x.compose.sharpness",
        "0; expected a number, more than 0 and at most 100",
    ),
    "a composition of a continued adapter": (
        with_runs(x=SAME | COMPOSE | {"from": "strategy5"}),
        "runs.x.from",
        "'strategy5', and the adapter of strategy5 was trained on another state; expected a run from origin",
    ),
    "a composition of a merged adapter": (
        with_runs(y=SAME | {"from": "stage1", "adapter": "merge"}, x=SAME | COMPOSE | {"from": "y"}),
        "runs.x.from",
        "'y', and the adapter of y was trained on another state",
    ),
    "a composition of adapters of other targets": (
        with_runs(x=SAME | COMPOSE | {"from": "stage1", "targets": ["q_proj"]}),
        "runs.x.targets",
        "['q_proj'], but stage1 has",
    ),
    "continued adapter of other targets": (
        with_runs(x=SAME | {"from": "stage1", "targets": ["q_proj"]}),
        "runs.x.targets",
        "as in the adapter of stage1 that it continues",
    ),
    "a model's runs of no such name": (
        {"models": {"m": TINY | {"runs": ["stage1", "stag1"]}}},
        "models.m.runs[1]",
        "there is no run 'stag1'; expected a known name (did you mean 'stage1'?)",
    ),
    "a model's run without its parent": (
        {"models": {"m": TINY | {"runs": ["strategy5"]}}},
        "models.m.runs[0]",
        "strategy5 needs stage1; expected stage1 among the runs of the model",
    ),
    "a model's run without what gives its size": (
        {"models": {"m": TINY | {"runs": ["random"]}}},
        "models.m.runs[0]",
        "random needs stage1",
    ),
    "a model's run without what it selects by": (
        {"models": {"m": TINY | {"runs": ["x", "stage1"]}}}
        | with_runs(x=SAME | {"select": {"strategy5": ["MaybeKnown"]}}),
        "models.m.runs[0]",
        "x needs strategy5",
    ),
    "a model's run without what it replays": (
        {"models": {"m": TINY | {"runs": ["x"]}}} | with_runs(x=SAME | {"replay": REPLAY | {"state": "stage1"}}),
        "models.m.runs[0]",
        "x needs stage1",
    ),
    "a model without runs": ({"models": {"m": TINY | {"runs": []}}}, "models.m.runs", "at least one"),
    "a model's run twice": ({"models": {"m": TINY | {"runs": ["stage1"] * 2}}}, "models.m.runs", "none twice"),
    "a model's runs that are a text": ({"models": {"m": TINY | {"runs": "stage1"}}}, "models.m.runs", "a list of"),
    "the origin among a model's runs": (
        {"models": {"m": TINY | {"runs": ["origin"]}}},
        "models.m.runs[0]",
        "there is no run 'origin'",
    ),
    "no learning": ({"training": {"learning_rate": 0}}, "training.learning_rate", "0; expected a number, more than 0"),
    "all dropped out": ({"training": {"dropout": 1}}, "training.dropout", "1; expected a number, at least 0 and less"),
    "no targets": ({"training": {"targets": []}}, "training.targets", "at least one"),
}


@pytest.mark.parametrize(("overrides", "key", "hint"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_wrong_is_refused(overrides, key, hint):
    assert_refused(overrides, key, hint)
