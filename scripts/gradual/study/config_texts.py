"""The texts of a config that no job may be given: those with a secret, and those that no command or no path can hold."""

import re
from collections.abc import Mapping
from typing import Any

# A user or a password in an address, a secret in its query, and the tokens of well-known sites.
SECRET = re.compile(
    r"(?i:\b[a-z][a-z0-9+.-]*://[^/?#\s]*@)"
    r"|(?i:[?&#;][\w.-]*(token|secret|passw|pwd|api_?key|access_?key|auth(?!or)|credential|signature)[\w.-]*=)"
    r"|(?i:[?&#;](key|sig)=)"
    r"|\b(hf_|gh[opsur]_|github_pat_|glpat-|sk-|AKIA|(?i:bearer\s+))\w{16,}"
)
PATH = "a path without { } < >, line breaks, and spaces at its ends"


def secret_at(value: Any, path: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """The place of the first password or token in a value, as keys and indices; None if there is none.

    A key that is a secret itself is not in the place.
    """
    if isinstance(value, str):
        return path if SECRET.search(value) else None
    if isinstance(value, Mapping):
        if any(SECRET.search(str(key)) for key in value):
            return path
        items: Any = value.items()
    else:
        items = enumerate(value) if isinstance(value, list) else ()
    return next((found for key, item in items if (found := secret_at(item, (*path, key))) is not None), None)


def text_problem(text: str) -> str | None:
    """What keeps a text from the command line of a script: a NUL, or a part of a character; None for all other texts."""
    if "\0" in text:
        return f"{text!r} has a NUL"
    return None if text.isascii() or not re.search("[\ud800-\udfff]", text) else f"{text!r} is not Unicode"


def path_problem(path: str) -> str | None:
    """What keeps a path from Snakemake, which takes {name} for a wildcard and <name> for a variable."""
    found = re.search(r"[{}<>\x00-\x1f\x7f]|^\s|\s\Z", path)
    return f"{found[0]!r} in a path" if found else None
