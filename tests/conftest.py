"""Fixtures for all tests: the real datasets, where there is a copy of them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real dataset, in GRADUAL_DATA or in a shared/data in or above the project; skips without one."""
    named = os.environ.get("GRADUAL_DATA")
    places = [Path(named)] if named else [folder / "shared" / "data" for folder in (ROOT, *ROOT.parents)]

    def find(name: str) -> Path:
        for place in places:
            if (place / name).is_dir():
                return place / name
        pytest.skip(f"no copy of {name}: set GRADUAL_DATA to the folder that holds it")

    return find
