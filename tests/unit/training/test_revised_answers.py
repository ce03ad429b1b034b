"""Examples with the answers of a revision, in the trained wordings."""

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.training.revised_answers import revise_examples

EXAMPLES = pd.DataFrame(
    [("a", "train", "A?", "old a", "dataset"), ("b", "train", "B?", "old b", "dataset")]
    + [("c", "replay", "C?", "old c", "dataset")],
    columns=["fact_id", "role", "question", "answer", "source"],
)
REVISIONS = pd.DataFrame(
    [("a", 0, "a0"), ("a", 1, "a1"), ("a", 2, "a2"), ("b", 0, "b0"), ("b", 1, "b1"), ("c", 0, "c0")],
    columns=["fact_id", "revision", "answer"],
)
GROUPS = pd.DataFrame([("a", "x", "own"), ("a", "y", "conflicting")], columns=["fact_id", "domain", "role"])
WORDINGS = pd.DataFrame([(f, w, f"{f}{w}?") for f in "abc" for w in (0, 1)], columns=["fact_id", "wording", "question"])


def answers(revision, domain=""):
    found = revise_examples(EXAMPLES, REVISIONS, GROUPS, revision, domain, None, [0])
    assert list(found["question"]) == ["A?", "B?", "C?"]
    return list(found["answer"]), set(found["source"])


def test_the_answers_of_a_revision_or_of_the_last_one_before():
    assert answers(0) == (["a0", "b0", "c0"], {"revision 0"})
    assert answers(2) == (["a2", "b1", "c0"], {"revision 2"})
    assert answers(None) == (["a2", "b1", "c0"], {"latest revision"})


def test_a_domains_own_facts_keep_their_answers_and_its_conflicting_ones_do_not():
    assert answers(1, "x")[0] == ["a0", "b1", "c0"]
    assert answers(1, "y")[0] == ["a1", "b1", "c0"]


def test_each_trained_wording_is_a_row():
    found = revise_examples(EXAMPLES, REVISIONS, GROUPS, 1, "", WORDINGS, [0, 1])
    assert list(found["question"]) == ["a0?", "a1?", "b0?", "b1?", "c0?", "c1?"]
    assert list(found["answer"]) == ["a1", "a1", "b1", "b1", "c0", "c0"]
    assert list(found["role"]) == ["train"] * 4 + ["replay"] * 2


def test_a_fact_without_revisions_is_refused():
    with pytest.raises(InputError, match="revisions, key 'fact_id': fact c has no revision"):
        revise_examples(EXAMPLES, REVISIONS[REVISIONS["fact_id"] != "c"], GROUPS, 1, "", None, [0])
