"""The problems of a config that a check finds."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """A problem with the value of a key (None for the whole config), and what was expected there."""

    key: str | None
    problem: str
    expected: str


def nearest(name: str, known: Iterable[str]) -> str:
    """The expectation in an error about an unknown name: the nearest known name or, without one, all known names."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"a known name (did you mean {near[0]!r}?)"
    return f"one of {', '.join(known)}" if known else "none"
