"""A package of tables: those of one paper, with the roles that runs have in them and what to cite."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradual.ground.choices import Choice
from gradual.tables.spec import Study


@dataclass(frozen=True)
class Package:
    """The tables of a paper, by name.

    `study` is the class of what its tables know of a study, and `study_of` makes that of a config. `places` says where
    the config has a role that it does not have in `tables` under its own name.
    """

    name: str
    citation: str
    tables: Choice
    study: type[Study]
    study_of: Callable[[Mapping[str, Any]], Study]
    places: Mapping[str, str]
