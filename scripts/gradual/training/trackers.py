"""Trackers, which show a training elsewhere as it runs: the Trainer's own integrations, by its names.

A tracker is where one looks, and not what is computed. So it is a resource of the jobs that train, which the profile sets,
and no key of a study's config.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from gradual.ground.errors import InputError

NONE = "none"  # also the Trainer's word
PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "trackio": ("trackio",), "wandb": ("wandb",)}
PROJECT = "gradual-learning"


@dataclass(frozen=True)
class Tracking:
    """The trackers of a training, and the name of its run there. `folder` is for those that write files."""

    trackers: tuple[str, ...] = ()
    run: str | None = None
    folder: Path = Path()

    def prepare(self) -> None:
        """Tell the trackers by their environment variables where they write, and what the project is called."""
        if self.trackers:
            os.environ["TENSORBOARD_LOGGING_DIR"] = str(self.folder)
            os.environ.setdefault("WANDB_PROJECT", PROJECT)


def trackers(told: str) -> tuple[str, ...]:
    """The trackers in a text such as "none" or "tensorboard,wandb".

    Raises InputError for one that is not known, or that has no package in this environment.
    """
    names = tuple(name.strip() for name in told.split(",")) if told != NONE else ()
    for name in names:
        if name not in PACKAGES:
            raise InputError("trackers", f"{name!r}", f"{NONE}, or some of {', '.join(PACKAGES)} with commas between")
        if not any(importlib.util.find_spec(package) for package in PACKAGES[name]):
            expected = f"it in the environment of the training (pip install {PACKAGES[name][0]}), or another tracker"
            raise InputError("trackers", f"the package of {name} is not installed", expected)
    return names
