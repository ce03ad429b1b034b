"""The rooms of the library: a lower room imports nothing of a higher one, and no modules import each other in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from gradual.workflow.fingerprint import _imported, _is_choice, _locate

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
LIBRARY = SCRIPTS / "gradual"
# From the lowest to the highest. There is no exception.
ROOMS = (
    "ground",
    "data",
    "models",
    "probe",
    "knowledge",
    "training",
    "study",
    "tables",
    "report",
    "workflow",
    "planning",
    "export",
)


def name_of(path: Path) -> str:
    """The dotted name of a module of the library."""
    return ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)


def room_of(module: str) -> str:
    return module.split(".")[1]


def imports_of(path: Path) -> set[str]:
    """The modules of the library that a module may import, at its head, in a function or by a Choice."""
    package, found = name_of(path).rpartition(".")[0], set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        wanted = [*_imported(node, package, path)]
        if _is_choice(node):
            wanted += [place.partition(":")[0] for place in ast.literal_eval(node.args[1]).values()]
        found |= {name for one in wanted for name, file in _locate(one, SCRIPTS) if file.name != "__init__.py"}
    return found


MODULES = {name_of(path): path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py"}


def test_the_rooms_are_these():
    assert {path.name for path in LIBRARY.iterdir() if path.name != "__pycache__"} == {*ROOMS, "__init__.py"}
    assert {room_of(module) for module in MODULES} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_nothing_of_a_higher_one(room):
    higher = ROOMS[ROOMS.index(room) + 1 :]
    modules = {module: path for module, path in MODULES.items() if room_of(module) == room}
    upward = {(module, other) for module, path in modules.items() for other in imports_of(path)}
    assert {(module, other) for module, other in upward if room_of(other) in higher} == set()


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({module: imports_of(path) for module, path in MODULES.items()}).prepare()


def test_imports_at_the_head_and_by_choice_are_seen():
    """Else the tests above would find nothing to object to."""
    assert "gradual.ground.files" in imports_of(LIBRARY / "data" / "facts.py")
    assert "gradual.data.readers.table" in imports_of(LIBRARY / "data" / "dataset.py")
    assert "gradual.models.adapters" in imports_of(LIBRARY / "training" / "lora.py")
    assert "gradual.tables.gradual_learning.graph" in imports_of(LIBRARY / "tables" / "gradual_learning" / "claims.py")


def test_packages_hold_nothing_of_their_own():
    assert [path for path in LIBRARY.rglob("__init__.py") if path.read_bytes()] == []
