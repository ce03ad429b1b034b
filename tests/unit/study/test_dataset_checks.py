"""Configs that are refused for their dataset, its revisions and wordings, its world or its corpus."""

import pytest

from configs import ARCHIVE, SETTING_1, SETTING_2, WORLD, assert_refused, revised, without, worded

MALFORMED = {
    "null section": ({"corpus": None}, "corpus", "a mapping"),
    "wildcard in a path": ({"dataset": {"reader": "jsonl", "path": "a/{seed}"}}, "dataset.path", "'{' in a path"),
    "variable in a path": ({"dataset": {"reader": "jsonl", "path": "<results>"}}, "dataset.path", "'<' in a path"),
    "line break in a path": ({"dataset": ARCHIVE | {"manifest": "a\nb"}}, "dataset.manifest", "'\\n' in a path"),
    "share above one": ({"corpus": {"contested": 1.5}}, "corpus.contested", "at most 1"),
    "dataset without reader": (
        {"dataset": {"relations": ["P17"]}},
        "dataset.reader",
        "replaced as a whole, not merged",
    ),
    "unknown reader": ({"dataset": {"reader": "csv"}}, "dataset.reader", "world or table or entity_questions"),
    "world with a path": (
        {"dataset": WORLD | {"path": "data"}},
        "dataset.path",
        "null, because reader: world reads no files",
    ),
    "world without test": ({"dataset": WORLD | {"carve": {"dev": 0.1}}}, "dataset.carve.test", "a share"),
    "reader without files": ({"dataset": {"reader": "wikiqa"}}, "dataset.path", "the raw files of reader: wikiqa"),
    "nothing to ask": (
        {"dataset": WORLD | {"carve": {"test": 0.3, "dev": 0.1}}, "corpus": {"asked": 0}},
        "corpus.asked",
        "facts that question documents may ask",
    ),
    "nothing ever stated": ({"corpus": {"never_stated": 1}}, "corpus.never_stated", "less than 1"),
    "url without digest": ({"dataset": without(ARCHIVE, "sha256")}, "dataset.sha256", "or a manifest"),
    "digest without url": (
        {"dataset": without(ARCHIVE, "url") | {"path": "x"}},
        "dataset.sha256",
        "null, because there is no url",
    ),
    "short digest": ({"dataset": ARCHIVE | {"sha256": "abc"}}, "dataset.sha256", "64 hexadecimal digits"),
    "columns of a known layout": (
        {"dataset": {"reader": "popqa", "path": "x", "columns": {"question": "q"}}},
        "dataset.columns",
        "table or jsonl",
    ),
    "columns without a known name": (
        {"dataset": {"reader": "table", "path": "x", "columns": {"answer": "q"}}},
        "dataset.columns.answer",
        "dataset.columns.answers",
    ),
    "files of an own format": (
        {"dataset": {"reader": "wikiqa", "path": "x", "files": {"train": "a"}}},
        "dataset.files",
        "only with reader: table",
    ),
    "address of another kind": ({"dataset": ARCHIVE | {"url": "ftp://x/y"}}, "dataset.url", "https://"),
    "all of train carved": ({"dataset": WORLD | {"carve": {"test": 0.5, "dev": 0.5}}}, "dataset.carve", "less than 1"),
    "facts of no split": ({"dataset": WORLD | {"max_facts": {"tran": 3}}}, "dataset.max_facts.tran", "max_facts.train"),
    "revisions of nothing": (revised(kept=3), "dataset.revisions", "one of facts, domains, file"),
    "revisions in two ways": (revised(**SETTING_1, file="a.csv"), "dataset.revisions", "facts and file together"),
    "revisions without count": (
        revised(facts=3),
        "dataset.revisions.count",
        "because dataset.revisions.facts is given",
    ),
    "count of no facts": (
        revised(**SETTING_2, count=1),
        "dataset.revisions.count",
        "no such key with dataset.revisions.dom",
    ),
    "own facts without domains": (revised(**SETTING_1, own=3), "dataset.revisions.own", "dataset.revisions.facts"),
    "domains that own nothing": (
        revised(**without(SETTING_2, "own")),
        "dataset.revisions.own",
        "because dataset.revisions.domains",
    ),
    "kept facts of domains": (revised(**SETTING_2, kept=1), "dataset.revisions.kept", "dataset.revisions.domains"),
    "band of a file": (revised(file="a.csv", band="half"), "dataset.revisions.band", "dataset.revisions.file"),
    "columns of no file": (revised(**SETTING_1, columns={"date": "d"}), "dataset.revisions.columns", "no such key"),
    "unknown column": (
        revised(file="a.csv", columns={"dat": "d"}),
        "dataset.revisions.columns.dat",
        "did you mean 'dataset.revisions.columns.date'",
    ),
    "unknown key of revisions": (revised(**SETTING_1, unrelatd=3), "dataset.revisions.unrelatd", "unrelated'"),
    "unknown band": (revised(**SETTING_1, band="third"), "dataset.revisions.band", "quartile or half or all"),
    "a relation in two domains": (
        revised(**SETTING_2 | {"domains": {"a": ["P17"], "b": ["P19", "P17"]}}),
        "dataset.revisions.domains.b[1]",
        "is also of the domain a",
    ),
    "a domain with a bad name": (
        revised(**SETTING_2 | {"domains": {"My places": ["P17"]}}),
        "dataset.revisions.domains.My places",
        "a name of lower-case letters",
    ),
    "a domain of left-out relations": (
        {"dataset": ARCHIVE | {"relations": ["P17", "P19"], "revisions": SETTING_2}},
        "dataset.revisions.domains.places[1]",
        "'P36' is not in dataset.relations; expected one of P17, P19",
    ),
    "revised relations that are left out": (
        {"dataset": ARCHIVE | {"relations": ["P17"], "revisions": SETTING_1 | {"relations": ["P18"]}}},
        "dataset.revisions.relations[0]",
        "did you mean 'P17'",
    ),
    "more conflicting facts than own ones": (
        revised(**SETTING_2 | {"conflicting": 7}),
        "dataset.revisions.conflicting",
        "at most dataset.revisions.own (6)",
    ),
    "more facts in groups than train has": (
        {"dataset": ARCHIVE | {"max_facts": {"train": 14}, "revisions": SETTING_1}},
        "dataset.revisions",
        "15 facts in its groups; expected at most dataset.max_facts.train (14)",
    ),
    "more facts of domains than train has": (
        {"dataset": ARCHIVE | {"max_facts": {"train": 11}, "revisions": SETTING_2}},
        "dataset.revisions",
        "12 facts in its groups",
    ),
    "a file of revisions with braces": (revised(file="{x}.csv"), "dataset.revisions.file", "a path without"),
    "a wording without a template": (worded(test=[4]), "dataset.wordings.test[0]", "4; expected a wording from 0 to 3"),
    "a tested wording that is trained": (
        worded(augment=[1], test=[2, 1]),
        "dataset.wordings.test[1]",
        "1, which is also in dataset.wordings.augment",
    ),
    "wordings of a dataset without templates": (
        worded({"reader": "popqa", "path": "x"}, test=[1]),
        "dataset.wordings.columns",
        "reader: world or entity_questions",
    ),
    "columns of wordings in the world": (
        worded(columns=["a"]),
        "dataset.wordings.columns",
        "only with reader: table or jsonl",
    ),
    "more wordings than columns": (
        worded({"reader": "table", "path": "x"}, test=[2], columns=["a"]),
        "dataset.wordings.test[0]",
        "a wording from 0 to 1",
    ),
    "an unknown use of a wording": (worded(tset=[1]), "dataset.wordings.tset", "did you mean 'dataset.wordings.test'"),
    "a wording by name": (worded(test=["formal"]), "dataset.wordings.test[0]", "an integer, at least 0"),
    "other wordings in a corpus without them": (
        worded(train=[0]) | {"corpus": {"reworded": 0.5}},
        "corpus.reworded",
        "other wordings in dataset.wordings",
    ),
    "dataset by name alone": ({"dataset": "wikiqa"}, "dataset", "'wikiqa'; expected a mapping"),
    "no dataset": ({"dataset": None}, "dataset", "None; expected a mapping"),
    "relation that is a text": (
        {"dataset": WORLD | {"relations": "P17"}},
        "dataset.relations",
        "'P17'; expected a list",
    ),
    "train carved off train": (
        {"dataset": WORLD | {"carve": {"train": 0.3, "test": 0.3, "dev": 0.1}}},
        "dataset.carve.train",
        "unknown key; expected one of test, dev, support",
    ),
    "single answers of no split": (
        {"dataset": WORLD | {"single_answer": ["validation"]}},
        "dataset.single_answer[0]",
        "'validation'; expected train or dev",
    ),
    "more works than names": ({"world": {"works": 2000}}, "world.works", "at most 1840"),
    "too few words": ({"corpus": {"words": 10}}, "corpus.words", "10; expected an integer, at least 1000"),
}


@pytest.mark.parametrize(("overrides", "key", "hint"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_wrong_is_refused(overrides, key, hint):
    assert_refused(overrides, key, hint)
