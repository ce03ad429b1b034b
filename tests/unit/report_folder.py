"""A copy of a published study, for tests that write its report."""

import shutil
from pathlib import Path

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"


def copied(study: str, root: Path) -> Path:
    """The folder of a published study, in a place where a report may be written."""
    return Path(shutil.copytree(REFERENCE / study, root / study))
