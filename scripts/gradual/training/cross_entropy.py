"""The objective cross_entropy: the mean negative log-likelihood of the tokens with loss."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.training.batches import pad
from gradual.training.texts import Row


class CrossEntropy:
    """The cross entropy of the next token. See `objectives.Objective`. It has no settings of its own."""

    columns: tuple[str, ...] = ()
    pad = staticmethod(pad)

    def __init__(self, own: Mapping[str, Any]) -> None:
        pass

    @staticmethod
    def rows(
        examples: pd.DataFrame,
        written: Sequence[tuple[str, str]],
        encode: Callable[[str, str], Row],
        samples: Sequence[Path],
    ) -> list[Row]:
        return [encode(*text) for text in written]

    def check(self, model: Any, rows: Sequence[Row]) -> None:
        pass

    def begin(self, batches: Sequence[Mapping[str, Any]], over_ranks: Callable[[Any], Any]) -> None:
        pass

    def loss(self, model: Any, batch: dict[str, Any], tokens: Any) -> tuple[Any, Any]:
        outputs = model(**batch, num_items_in_batch=tokens)
        return outputs["loss"], outputs

    def logged(self, over_ranks: Callable[[Any], Any]) -> dict[str, float]:
        return {}
