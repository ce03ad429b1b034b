"""Selection by the roles of facts in the groups."""

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.knowledge.group_selection import select_groups

GROUPS = pd.DataFrame(
    [
        ("b", "", "revised"),
        ("a", "", "revised"),
        ("c", "", "kept"),
        ("d", "x", "own"),
        ("e", "y", "own"),
        ("d", "y", "conflicting"),
    ],
    columns=["fact_id", "domain", "role"],
)


def rows(*given):
    return list(select_groups(GROUPS, *given).itertuples(index=False, name=None))


def test_the_facts_with_a_role_and_the_others_to_replay():
    assert rows(["revised"], "", [], "r") == [("a", "train"), ("b", "train")]
    assert rows(["revised"], "", ["kept", "revised"], "r") == [("a", "train"), ("b", "train"), ("c", "replay")]


def test_own_and_conflicting_facts_are_those_of_the_domain():
    assert rows(["own", "conflicting"], "y", [], "r") == [("d", "train"), ("e", "train")]
    assert rows(["kept"], "x", [], "r") == [("c", "train")]
    assert rows(["own"], "", [], "r") == [("d", "train"), ("e", "train")]


def test_a_domain_replays_facts_of_the_domains_before_it_and_of_none_to_come():
    assert rows(["own"], "y", ["own"], "r") == [("e", "train"), ("d", "replay")]
    assert rows(["own"], "y", ["conflicting", "kept"], "r") == [("e", "train"), ("c", "replay")]
    with pytest.raises(InputError, match="key 'replay': no other fact is own"):
        rows(["own"], "x", ["own"], "r")
    assert rows(["kept"], "", ["own"], "r") == [("c", "train"), ("d", "replay"), ("e", "replay")]


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match=r"run r, key 'facts': no fact is unrelated; expected some; the groups are"):
        rows(["unrelated"], "", [], "r")
    with pytest.raises(InputError, match="no fact is own in the domain 'z'"):
        rows(["own"], "z", [], "r")
    with pytest.raises(InputError, match="key 'replay': no other fact is kept"):
        rows(["kept"], "", ["kept"], "r")
