"""Stages and methods: the runs that they make, and what is refused."""

from pathlib import Path

import pytest

from gradual.ground.errors import InputError
from gradual.study import result_files as kinds
from gradual.study.config import load_config
from gradual.study.methods import methods
from gradual.study.result_files import Result
from gradual.study.runs import runs
from gradual.study.steps import adapter_chain, inputs, rule_of, standing_on
from gradual.training.augment_settings import Augment, Keep

ROOT = Path(__file__).resolve().parents[3]
STAGES = [
    {"facts": ["revised", "kept"], "answers": {"revision": 0}},
    {"facts": ["revised"], "answers": {"revision": 1}},
    {"facts": ["revised"], "answers": {"revision": 2}},
]
WORLD = {"reader": "world", "carve": {"test": 0.3, "dev": 0.1, "support": 0.1}}
STUDY = {
    "study": "mine",
    "extends": None,
    "choose_on": "last",
    "tables": {"show": [2]},
    "dataset": WORLD | {"revisions": {"count": 2, "facts": 6, "kept": 4, "unrelated": 5}},
    "stages": STAGES,
    "methods": {
        "cit": {"label": "CIT"},
        "replay": {"replay": {"facts": ["kept"], "ratio": 0.2}, "stages": 2},
        "f_learning": {"forget": 0.7, "adapter": "merge", "epochs": 3},
        "unedited": {"answers": {"revision": 0}},
    },
    "runs": {"joint": {"from": "origin", "facts": ["revised", "kept"], "answers": {"revision": "latest"}}},
}
DOMAINS = {"domains": {"places": ["born_in"], "lives": ["spouse"]}, "own": 6, "conflicting": 3}
CROSS = STUDY | {
    "dataset": WORLD | {"revisions": DOMAINS},
    "stages": [
        {"facts": ["own"], "domain": "places", "answers": {"revision": 0}},
        {"facts": ["own", "conflicting"], "domain": "lives", "answers": {"revision": 1}},
    ],
    "methods": {"cit": {}},
    "runs": {},
}


def load(study):
    return load_config(study, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")


def test_each_method_makes_a_run_of_every_stage_after_the_first():
    config = load(STUDY)
    table = runs(config)
    assert methods(config) == {
        "cit": {2: "cit2", 3: "cit3"},
        "replay": {2: "replay2"},
        "f_learning": {2: "f_learning2", 3: "f_learning3"},
        "unedited": {2: "unedited2", 3: "unedited3"},
    }
    parents = {name: run.parent for name, run in table.items()}
    assert parents == {
        "stage1": "origin",
        "cit2": "stage1",
        "cit3": "cit2",
        "replay2": "stage1",
        "f_learning2_forget": "stage1",
        "f_learning2": "f_learning2_forget",
        "f_learning3_forget": "f_learning2",
        "f_learning3": "f_learning3_forget",
        "unedited2": "stage1",
        "unedited3": "unedited2",
        "joint": "origin",
    }
    trained = {name: (run.facts, run.revision, run.scale) for name, run in table.items()}
    assert trained["stage1"] == (("revised", "kept"), 0, 1) and trained["cit3"] == (("revised",), 2, 1)
    assert trained["f_learning3_forget"] == (("revised",), 1, -0.7) and trained["f_learning3"] == (("revised",), 2, 1)
    assert trained["unedited3"] == (("revised",), 0, 1) and trained["joint"] == (("revised", "kept"), None, 1)
    assert table["f_learning2"].training.epochs == 3 and table["cit2"].training.epochs == 10
    assert table["cit3"].label == "CIT, stage 3" and table["replay2"].replay.facts == ("kept",)
    chains = {name: [result.state for result in adapter_chain(table, name)] for name in ("cit3", "f_learning2")}
    assert chains == {"cit3": ["cit3"], "f_learning2": ["stage1", "f_learning2_forget", "f_learning2"]}


def test_domains_are_stages():
    table = runs(load(CROSS))
    assert (table["cit2"].domain, table["cit2"].facts) == ("lives", ("own", "conflicting"))


def test_joint_training_takes_all_domains():
    joint = {"from": "origin", "facts": ["own"], "answers": {"revision": "latest"}}
    table = runs(load(CROSS | {"runs": {"joint": joint}}))
    assert (table["joint"].domain, table["joint"].revision) == ("", None)


def test_only_facts_whose_answers_change_are_forgotten():
    table = runs(load(CROSS | {"methods": {"f": {"forget": 0.7, "adapter": "merge"}}}))
    assert table["f2"].facts == ("own", "conflicting")
    forgetting = table["f2_forget"]
    assert (forgetting.facts, forgetting.domain, forgetting.revision) == (("conflicting",), "lives", 0)


def test_what_is_forgotten_is_neither_replayed_nor_preferred():
    preference = {"samples": 2, "temperature": 0.8, "top_k": 40}
    method = {"forget": 0.7, "adapter": "merge", "replay": {"facts": ["kept"], "ratio": 0.5}}
    training = {"objective": "preference", "preference": preference}
    table = runs(load(STUDY | {"methods": {"f": method}, "training": training}))
    assert table["f2"].replay and table["f2"].preference
    assert table["f2_forget"].replay is None and table["f2_forget"].preference is None


def test_the_rules_follow_from_the_runs():
    table = runs(load(STUDY))

    def made(kind, run):
        return rule_of(Result(kind, run), table)

    assert made(kinds.SELECTION, "cit2") == "select_groups" and made(kinds.EXAMPLES, "cit2") == "revise_examples"
    assert made(kinds.ADAPTER, "f_learning2_forget") == "scale_adapter" != made(kinds.ADAPTER, "f_learning2")
    graded = standing_on([Result(kinds.GROUP_GRADES, "cit2")], table)
    assert Result(kinds.GROUP_ANSWERS, "stage1") in graded and Result(kinds.REVISIONS) in graded
    assert not [result for result in graded if result.kind in (kinds.ACCURACY, kinds.EVALUATION, kinds.CATEGORIES)]
    again = inputs(Result(kinds.GROUP_GRADES, "cit2", probe=1), table)
    assert again["parent"] == [Result(kinds.GROUP_ANSWERS, "stage1", probe=1)]


def test_a_method_with_preference_samples_the_state_that_each_of_its_runs_starts_from():
    preferred = {"objective": "preference", "preference": {"beta": 0.5}}
    table = runs(load(STUDY | {"methods": STUDY["methods"] | {"pbl": preferred}}))
    assert {name for name, run in table.items() if run.preference} == {"pbl2", "pbl3"}
    assert table["pbl3"].preference.loss.beta == 0.5 and table["pbl3"].preference.sampling.samples == 8
    asked = inputs(Result(kinds.SAMPLES, "pbl3"), table)
    assert asked["adapters"] == [Result(kinds.ADAPTER, "pbl2")]
    assert asked["examples"] == [Result(kinds.EXAMPLES, "pbl3")]


TAUGHT = {"corpus": {"rewrite": 0.05, "background": 0.05, "reason": 0.05}}
WORDED = STUDY["dataset"] | {"wordings": {"train": [0], "augment": [1, 2], "test": [3]}}
CA = {"augment": {"ways": ["paraphrase", "logic"]}}
HALF = {"augment": {"ways": ["logic"], "keep": {"information": 0.5, "agreement": True}}}
AUGMENTED = STUDY | TAUGHT | {
    "dataset": WORDED,
    "methods": {
        "cit": {},
        "ca": CA,
        "half": HALF,
        "steps": {"steps_of": "ca"},
        "tokens": {"tokens_of": "ca"},
        "both": CA | {"forget": 0.5, "stages": 2},
    },
}  # fmt: skip


def test_a_method_augments_the_questions_of_its_stages_or_has_the_steps_of_another_method():
    table = runs(load(AUGMENTED))
    assert table["cit2"].augment is None and table["cit2"].steps_of is None
    assert table["ca3"].augment == Augment(("paraphrase", "logic"), "model", Keep())
    assert table["half2"].augment.keep == Keep(information=0.5, agreement=True)
    assert [table[name].steps_of for name in ("steps2", "steps3")] == ["ca2", "ca3"]
    assert [table[name].tokens_of for name in ("steps2", "tokens2", "tokens3")] == [None, "ca2", "ca3"]
    assert table["both2"].augment and table["both2_forget"].augment is None
    assert table["steps2"].training == table["cit2"].training == table["ca2"].training  # the params of a training


def test_the_parent_of_a_run_writes_its_augmented_questions():
    table = runs(load(AUGMENTED))

    def made(kind, run):
        return rule_of(Result(kind, run), table)

    assert [made(kinds.EXAMPLES, run) for run in ("cit2", "ca2", "steps2", "tokens2")] == [
        "revise_examples", "augment_examples", "match_steps", "match_tokens",
    ]  # fmt: skip
    asked = inputs(Result(kinds.AUGMENTED, "ca3"), table)
    assert asked["adapters"] == [Result(kinds.ADAPTER, "ca2")] and asked["own"] == [Result(kinds.OWN_EXAMPLES, "ca3")]
    assert inputs(Result(kinds.EXAMPLES, "steps3"), table)["other"] == [Result(kinds.EXAMPLES, "ca3")]
    counted = inputs(Result(kinds.EXAMPLES, "tokens3"), table)
    assert counted["other"] == [Result(kinds.EXAMPLES, "ca3")] and counted["base"] == [Result(kinds.BASE)]
    whole = standing_on([Result(kinds.ADAPTER, "steps2")], table)
    assert Result(kinds.AUGMENTED, "ca2") in whole and Result(kinds.EPOCHS, "ca2") not in whole
    plain = standing_on([Result(kinds.ADAPTER, "cit3")], table)
    assert not {kinds.AUGMENTED, kinds.OWN_EXAMPLES} & {result.kind for result in plain}


def augmented(dataset=WORDED, **keys):
    return AUGMENTED | {"dataset": dataset, "methods": {"ca": {"augment": {"ways": ["paraphrase"]} | keys}}}


def repeated(**keys):
    return AUGMENTED | {"methods": {"ca": CA, "steps": {"steps_of": "ca"} | keys}}


def changed(**keys):
    return STUDY | keys


def with_run(**keys):
    return STUDY | {"runs": {"x": {"from": "stage1", "facts": ["kept"], "answers": {"revision": 0}} | keys}}


REFUSED = {
    "two methods of one label": (
        STUDY | {"methods": {"cit": {"label": "CIT"}, "cit_long": {"label": "CIT", "epochs": 9}}},
        "methods.cit_long.label",
        "'CIT', the name of methods.cit; expected another label",
    ),
    "methods without stages": (changed(stages=[]), "methods.cit", "at least two stages"),
    "a method of more stages": (changed(methods={"cit": {"stages": 4}}), "methods.cit.stages", "stages (3)"),
    "a name twice": (changed(runs={"cit2": STUDY["runs"]["joint"]}), "methods.cit", "another name"),
    "a method's facts": (changed(methods={"cit": {"facts": ["kept"]}}), "methods.cit.facts", "one of"),
    "a misspelt key": (changed(methods={"cit": {"epoch": 2}}), "methods.cit.epoch", "methods.cit.epochs"),
    "no such method to remove": (changed(methods={"cit": {}, "pbl": None}), "methods.pbl", "expected none"),
    "forgetting the first answers": (
        changed(methods={"f_learning": {"forget": 0.7, "answers": {"revision": 0}}}),
        "stages[1].answers",
        "from 1",
    ),
    "a stage of gold answers, forgotten": (
        changed(stages=[STAGES[0], STAGES[1] | {"answers": "gold"}]),
        "stages[1].answers",
        "{revision: n}",
    ),
    "neither": (with_run(facts=None), "runs.x.facts", "a list of: revised"),
    "both": (with_run(select={"origin": ["MaybeKnown"]}), "runs.x.select", "no such key with facts"),
    "no groups": (changed(dataset=WORLD), "runs.stage1.facts", "dataset.revisions"),
    "a role of another setting": (with_run(facts=["own"]), "runs.x.facts[0]", "revised, kept, unrelated"),
    "a replayed role of another setting": (
        with_run(replay={"facts": ["own"], "ratio": 0.5}),
        "runs.x.replay.facts[0]",
        "revised, kept, unrelated",
    ),
    "replay of categories": (
        with_run(replay={"category": "HighlyKnown", "ratio": 0.5}),
        "runs.x.replay.category",
        "replay.facts",
    ),
    "replay of nothing": (with_run(replay={"ratio": 0.5}), "runs.x.replay.category", "this key, or facts"),
    "a domain without domains": (with_run(domain="places"), "runs.x.domain", "own or conflicting"),
    "a revision too many": (with_run(answers={"revision": 3}), "runs.x.answers.revision", "the last revision (2)"),
    "a revision in words": (with_run(answers={"revision": "newest"}), "runs.x.answers.revision", "or latest"),
    "other answers": (with_run(answers="gold answers"), "runs.x.answers", "gold or drawn or {revision: n}"),
    "a scale of chosen epochs": (with_run(scale=2.0) | {"choose_on": "dev"}, "runs.x.scale", "choose_on: last"),
    "a scale of nothing": (with_run(scale=0), "runs.x.scale", "another number"),
    "size_of": (with_run(size_of="stage1"), "runs.x.size_of", "no such key with facts"),
    "answers of a revision by category": (
        changed(runs={"x": {"from": "origin", "select": {"origin": ["Unknown"]}, "answers": {"revision": 1}}}),
        "runs.x.answers",
        "facts of the groups",
    ),
    "no ways": (augmented(ways=[]), "methods.ca.augment.ways", "at least one"),
    "an unknown way": (augmented(ways=["reason"]), "methods.ca.augment.ways[0]", "paraphrase or background or logic"),
    "an unknown source": (augmented(source="teacher"), "methods.ca.augment.source", "model or templates"),
    "a whole share": (augmented(keep={"random": 1}), "methods.ca.augment.keep.random", "less than 1"),
    "two shares": (
        augmented(keep={"random": 0.5, "information": 0.5}),
        "runs.ca2.augment.keep.random",
        "one of random and information",
    ),
    "a corpus that teaches no paraphrases": (
        augmented() | {"corpus": {"reason": 0.05}},
        "runs.ca2.augment.ways",
        "a share corpus.rewrite, or source: templates",
    ),
    "templates without wordings": (
        augmented(STUDY["dataset"], source="templates") | {"corpus": {}},
        "runs.ca2.augment.ways",
        "wordings in dataset.wordings.augment",
    ),
    "augmented questions in chat": (
        augmented() | {"probe": {"format": "chat"}},
        "runs.ca2.augment.source",
        "probe.format: plain",
    ),
    "augmented drawn answers": (
        AUGMENTED | {"methods": {"ca": CA | {"answers": "drawn"}}},
        "runs.ca2.augment",
        "answers: {revision: n}",
    ),
    "steps of no method": (repeated(steps_of="cb"), "runs.steps2.steps_of", "did you mean 'ca2'"),
    "steps of itself": (repeated(steps_of="steps"), "runs.steps2", "states that exist before the run"),
    "steps of other epochs": (repeated(epochs=3), "runs.steps2.epochs", "10, as in ca2"),
    "steps of another batch": (repeated(batch=16, micro_batch=16), "runs.steps2.batch", "32, as in ca2"),
    "steps with augmented questions": (repeated(**CA), "runs.steps2.steps_of", "no such key with augment"),
    "tokens of no method": (repeated(steps_of=None, tokens_of="cb"), "runs.steps2.tokens_of", "did you mean 'ca2'"),
    "tokens and steps": (repeated(tokens_of="ca"), "runs.steps2.tokens_of", "no such key with steps_of"),
    "tokens of other epochs": (
        repeated(steps_of=None, tokens_of="ca", epochs=3),
        "runs.steps2.epochs",
        "10, as in ca2",
    ),
    "forgetting a domain's own answers": (
        CROSS
        | {"stages": [CROSS["stages"][0], CROSS["stages"][1] | {"facts": ["own"]}]}
        | {"methods": {"f": {"forget": 0.7, "adapter": "merge"}}},
        "stages[1].facts",
        "also facts whose answers change",
    ),
    "rewritten questions without wordings": (
        changed(corpus={"rewrite": 0.05}),
        "corpus.rewrite",
        "other wordings in dataset.wordings (train, augment)",
    ),
    "documents without support facts": (
        changed(dataset=STUDY["dataset"] | {"carve": {"test": 0.3, "dev": 0.1}}, corpus={"reason": 0.05}),
        "corpus.reason",
        "a share dataset.carve.support",
    ),
    "a corpus of lessons": (changed(corpus={"reason": 0.5}), "corpus.reason", "at most 0.25"),
    "no domain": (
        CROSS | {"stages": [CROSS["stages"][0], {"facts": ["own"], "answers": {"revision": 1}}]},
        "runs.cit2.domain",
        "places, lives",
    ),
    "no domain of a stage with the latest answers": (
        CROSS | {"stages": [CROSS["stages"][0], {"facts": ["own"], "answers": {"revision": "latest"}}]},
        "runs.cit2.domain",
        "places, lives",
    ),
    "no domain of a run at one revision": (
        CROSS | {"runs": {"x": {"from": "origin", "facts": ["own"], "answers": {"revision": 1}}}},
        "runs.x.domain",
        "places, lives",
    ),
    "an unknown domain": (
        CROSS | {"stages": [CROSS["stages"][0], CROSS["stages"][1] | {"domain": "live"}]},
        "runs.cit2.domain",
        "did you mean 'lives'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case):
    study, key, expected = REFUSED[case]
    with pytest.raises(InputError) as caught:
        load(study)
    assert f"key {key!r}" in str(caught.value)
    assert expected in str(caught.value)
