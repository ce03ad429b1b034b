"""What a study chooses by name is imported when it is asked for, and not before."""

import sys

import pytest

from gradual.data.dataset import READERS
from gradual.ground.choices import Choice
from gradual.probe.engines.load import ENGINES
from gradual.tables.gradual_learning.package import PACKAGE
from gradual.training.objectives import OBJECTIVES
from probe_facts import COUNTS


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that the path has, and that nothing has imported."""
    (tmp_path / "chosen_by_name.py").write_text("def work():\n    return 'done'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "chosen_by_name"
    sys.modules.pop("chosen_by_name", None)


def test_an_implementation_is_imported_when_it_is_asked_for(module):
    choice = Choice("way", {"fast": f"{module}:work", "gone": "no_such_module:work"})
    assert (choice.setting, list(choice), len(choice), "fast" in choice) == ("way", ["fast", "gone"], 2, True)
    assert module not in sys.modules
    assert choice["fast"]() == "done"
    assert module in sys.modules


def test_a_name_that_there_is_not_is_a_key_error():
    with pytest.raises(KeyError, match="slow"):
        Choice("way", {})["slow"]


@pytest.mark.parametrize(
    ("choice", "name"),
    [(choice, name) for choice in (READERS, ENGINES, OBJECTIVES, COUNTS, PACKAGE.tables) for name in choice],
    ids=lambda value: value.setting if isinstance(value, Choice) else value,
)
def test_every_place_that_the_library_names_is_there(choice, name):
    assert choice[name]
