"""Choices: implementations that a study chooses by name. Each is imported when it is first used.

    READERS = Choice("reader", {"jsonl": "gradual.data.readers.table:READER", ...})
    facts = READERS["jsonl"].read(source)

The names and places must be literal texts, because the fingerprint of code reads them and follows only what a study
chooses. So a changed or new implementation re-runs nothing of a study that uses another.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any


class Choice(Mapping[str, Any]):
    """A mapping from names to the objects at their places, "package.module:attribute"; `setting` names the choice."""

    def __init__(self, setting: str, places: Mapping[str, str]) -> None:
        self.setting, self.places = setting, places

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self.places[name].partition(":")
        return getattr(import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self.places  # without importing it

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
