"""What a figure is made of: where its numbers come from, and how they are drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.report.canvas import Canvas
from gradual.study.result_files import Result

Needs = Mapping[str, Sequence[Result]]  # the results that the tables of a study need, by model


@dataclass(frozen=True)
class Own:
    """Numbers that no table has. They are read from results that the study makes for its tables.

    `settings` says for JSON what of a study the figure is about, from the config and the needs of the tables. It is empty
    where the study lacks the results. `files` are the results, relative to results/<study>/. `numbers` reads them below
    this folder.
    """

    settings: Callable[[Mapping[str, Any], Needs], dict[str, Any]]
    files: Callable[[Mapping[str, Any]], list[str]]
    numbers: Callable[[Path, Mapping[str, Any]], pd.DataFrame]


@dataclass(frozen=True)
class FigureSpec:
    """A figure. A study has it if it shows all of its tables and, for a figure with results of its `own`, has these.

    `numbers` takes from the tables, by name, what the figure shows; it is not asked if the figure has its own results. The
    figure is drawn from these numbers alone. They are kept beside it, so that a published figure can be drawn anew.
    `note` says how to read it. With `provenance`, it also takes numbers from the provenance.
    """

    name: str
    title: str
    note: str
    draw: Callable[[pd.DataFrame], Canvas]
    tables: tuple[str, ...] = ()
    numbers: Callable[[Mapping[str, Any]], pd.DataFrame] | None = None
    own: Own | None = None
    provenance: bool = False
