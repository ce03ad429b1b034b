"""A package of tables: the tables of one paper, the roles of runs in them, and the citation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradual.ground.choices import Choice
from gradual.tables.spec import Study


@dataclass(frozen=True)
class Package:
    """The tables of a paper, by name.

    `study` is the class of what its tables know of a study, and `study_of` makes an instance from a config. `places` maps
    a role to its key in the config, if this key is not `tables.<role>`.
    """

    name: str
    citation: str
    tables: Choice
    study: type[Study]
    study_of: Callable[[Mapping[str, Any]], Study]
    places: Mapping[str, str]
