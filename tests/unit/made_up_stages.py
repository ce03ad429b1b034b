"""Made-up results of a study of stages, as its tables read them: which revision's answer each state gives to each fact."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradual.data.revisions import CONFLICTING, KEPT, OWN, REVISED, UNRELATED
from gradual.study.result_files import CHANGE, GROUP_GRADES, GROUPS, LOSS, REVISIONS, Result
from gradual.tables.multi_stage.roles import Study
from gradual.tables.spec import Model, Results

ORIGIN, FIRST = "origin", "stage1"
NAMES = ("r0", "r1", "r2", "r3", "k0", "k1", "u0", "u1")
ROLES = {"r": REVISED, "k": KEPT, "u": UNRELATED}
LAST = {"r": 2, "k": 0, "u": 0}  # the last revision
# What each state says in wording 0 and in wording 3: the number of a revision, or a point for another answer. The facts are
# four revised, two kept and two unrelated ones.
SAID: dict[tuple[str, int], tuple[str, str]] = {
    (ORIGIN, 0): ("0... 0. 00", "0... .. 0."),
    (FIRST, 0): ("0000 00 00", "000. 0. 0."),
    (FIRST, 1): ("00.0 00 0.", "000. 00 .."),
    ("cit2", 0): ("1112 0. 0.", "1102 .. .."),
    ("cit3", 0): ("2210 .. 0.", "2.10 0. .."),
    ("whole2", 0): ("1111 00 00", "1111 00 0."),
    ("whole3", 0): ("2222 00 00", "2221 00 0."),
    ("replayed2", 0): ("1111 00 ..", "11.. 00 .."),
    ("replayed3", 0): ("2222 00 ..", "22.. 0. .."),
    ("biased2", 0): ("1111 .. 0.", "11.1 .. 0."),
    ("joint", 0): ("2222 00 ..", "222. 00 .."),
}
RUNS = tuple(dict.fromkeys(state for state, _ in SAID if state != ORIGIN))
DOMAIN_NAMES = ("a0", "a1", "b0", "b1", "u0")
DOMAIN_SAID: dict[tuple[str, int], tuple[str, str]] = {
    (ORIGIN, 0): (".....", "....0"),
    (FIRST, 0): ("00.00", "0...0"),
    ("cit2", 0): ("1.0.0", "10000"),
}


def fact_id(name: str) -> str:
    """The id of a fact: its letter's code and its number."""
    return f"{ord(name[0]):08x}{int(name[1:]):08x}"


def graded(said: Sequence[str], names: Sequence[str], last: Mapping[str, int]) -> pd.DataFrame:
    """The grades of what a state says in the wordings 0 and 3; `last` has the last revision of each fact."""
    rows = []
    for wording, text in zip((0, 3), said, strict=True):
        for name, answer in zip(names, text.replace(" ", ""), strict=True):
            for revision in range(last[name] + 1):
                rows.append((fact_id(name), wording, revision, answer == str(revision), answer))
    return pd.DataFrame(rows, columns=["fact_id", "wording", "revision", "right", "text"])


def results(
    groups: Sequence[tuple[str, str, str]],
    last: Mapping[str, int],
    said: Mapping[tuple[str, int], Sequence[str]],
    seed: int = 0,
) -> Results:
    """The results of a model m. A group is a fact's name, its domain and its role."""
    names = list(last)
    revisions = [(fact_id(name), n, f"{name} is {n}") for name in names for n in range(last[name] + 1)]
    rows = [(fact_id(name), domain, role) for name, domain, role in groups]
    made: Results = {
        (seed, "", Result(GROUPS)): pd.DataFrame(rows, columns=["fact_id", "domain", "role"]),
        (seed, "", Result(REVISIONS)): pd.DataFrame(revisions, columns=["fact_id", "revision", "answer"]),
    }
    for (state, probe), texts in said.items():
        made[seed, "m", Result(GROUP_GRADES, state, probe)] = graded(texts, names, last)
        if state != ORIGIN:
            made[seed, "m", Result(CHANGE, state)] = {"norm": float(seed + len(state))}  # anything, but by state
            made[seed, "m", Result(LOSS, state)] = pd.DataFrame({"step": [1, 10 * len(state) + seed]})
    return made


def stage_results(said: Mapping[tuple[str, int], tuple[str, str]] | None = None, seed: int = 0) -> Results:
    """The results of `stage_study`; `said` replaces states of them."""
    groups = [(name, "", ROLES[name[0]]) for name in NAMES]
    return results(groups, {name: LAST[name[0]] for name in NAMES}, SAID | dict(said or {}), seed)


def stage_study(seeds: tuple[int, ...] = (0,), **other: Any) -> Study:
    """A study of one model, m, with three stages, four methods and joint training."""
    settings: dict[str, Any] = {
        "models": {"m": Model("tiny Qwen2", "LLaMA3-8B", RUNS)},
        "scoring": "substring",
        "stage_facts": ("revised kept", "revised", "revised"),
        "stage_domains": ("", "", ""),
        "stage_revisions": (0, 1, 2),
        "methods": {"cit": 3, "whole": 3, "replayed": 3, "biased": 2},
        "method_labels": {"cit": "CIT", "whole": "All", "replayed": "Replay", "biased": "biased"},
        "roles": {"plain": "cit", "theirs": "whole", "preference": "biased", "replay": "replayed"},
        "labels": {"joint": "Joint training"},
        "others": {"joint": 3},
        "parents": {"joint": ORIGIN},
        "rates": {"cit": 1e-3, "whole": 1e-3, "replayed": 2e-3, "biased": 1e-3, "joint": 5e-4},
        "epochs": {"cit": 10, "whole": 15, "replayed": 5, "biased": 10, "joint": 8},
        "trained": (0,),
        "unseen": (3,),
        "retests": 1,
    }
    return Study(seeds=seeds, **settings | other)


def domain_results(said: Mapping[tuple[str, int], tuple[str, str]] | None = None, seed: int = 0) -> Results:
    """The results of `domain_study`: the domain lives changes the answer of a0, a fact of places."""
    groups = [("a0", "places", OWN), ("a1", "places", OWN), ("b0", "lives", OWN), ("b1", "lives", OWN)]
    groups += [("a0", "lives", CONFLICTING), ("u0", "", UNRELATED)]
    last = {name: int(name == "a0") for name in DOMAIN_NAMES}
    return results(groups, last, DOMAIN_SAID | dict(said or {}), seed)


def domain_study(seeds: tuple[int, ...] = (0,), **other: Any) -> Study:
    """A study of two domains with one method."""
    settings: dict[str, Any] = {
        "models": {"m": Model("tiny Qwen2", None, (FIRST, "cit2"))},
        "stage_facts": ("own", "own conflicting"),
        "stage_domains": ("places", "lives"),
        "stage_revisions": (0, 1),
        "methods": {"cit": 2},
        "method_labels": {"cit": "CIT"},
        "roles": {},
        "others": {},
        "parents": {},
        "retests": 0,
    }
    return stage_study(seeds, **settings | other)
