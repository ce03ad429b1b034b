"""Settings of a script: files, and sections of the config as frozen dataclasses, which travel as JSON."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from gradual.ground.errors import InputError

Settings = TypeVar("Settings")


def pick(kind: type[Settings], section: Mapping[str, Any]) -> Settings:
    """The dataclass with its fields from the keys of a section that have the same names; lists become tuples.

    Raises InputError where a key is missing.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in names:
        if name not in section:
            raise InputError(kind.__name__, "is missing", f"the keys {', '.join(names)}", key=name)
    found = {name: section[name] for name in names}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})


def parser(kind: type[Settings]) -> Callable[[str], Settings]:
    """A function that reads the dataclass from JSON, for the `type` of an argparse option."""

    def parse(text: str) -> Settings:
        return pick(kind, json.loads(text))

    parse.__name__ = kind.__name__
    return parse


def add_paths(parser: ArgumentParser, *names: str) -> None:
    """Options of a script that each name a file, and must be given."""
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
