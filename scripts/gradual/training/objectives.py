"""Objectives: the losses that a run can train with, by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from gradual.ground.choices import Choice
from gradual.training.texts import Row

# Each place is a class whose objects are objectives. It is called with the objective's own settings.
OBJECTIVES = Choice(
    "objective",
    {
        "cross_entropy": "gradual.training.cross_entropy:CrossEntropy",
        "preference": "gradual.training.preference:Preference",
    },
)
OverRanks = Callable[[Any], Any]  # from a tensor of this rank to the sum of the tensors of all ranks


class Objective(Protocol):
    """The loss of a training, and what it needs of the examples.

    A Trainer calls `begin` at the beginning of a step, `loss` for each of the step's micro batches, and then `logged`. So a
    loss may depend on sums over the whole step: over all ranks and all accumulated micro batches.
    """

    columns: tuple[str, ...]  # of the training log, besides those of every training

    @staticmethod
    def rows(
        examples: pd.DataFrame,
        written: Sequence[tuple[str, str]],
        encode: Callable[[str, str], Row],
        samples: Sequence[Path],
    ) -> list[Row]:
        """A row per example. `written` are the examples' texts as (prompt, completion), and `encode` tokenizes such a text.

        `samples` are the files with the samples of the run, of which most objectives have none.
        """
        ...

    def check(self, model: Any, rows: Sequence[Row]) -> None:
        """Raises InputError for a model that the objective cannot train on the rows."""
        ...

    def pad(self, rows: list[Row]) -> dict[str, Any]:
        """A micro batch of rows. Its `labels` are those of the tokens that count in `tokens` (see `loss`)."""
        ...

    def begin(self, batches: Sequence[Mapping[str, Any]], over_ranks: OverRanks) -> None:
        """A step begins, with these micro batches of this rank."""
        ...

    def loss(self, model: Any, batch: dict[str, Any], tokens: Any) -> tuple[Any, Any]:
        """A micro batch's part of the step's loss, a scalar tensor, and the model's outputs.

        `tokens` is the number of tokens with loss in the whole step.
        """
        ...

    def logged(self, over_ranks: OverRanks) -> dict[str, float]:
        """What the log tells of the step that has ended, by column. A column without a value is left out."""
        ...


def trainer_class(objective: Objective) -> Any:
    """A transformers Trainer that trains with an objective."""
    from transformers import Trainer

    class ObjectiveTrainer(Trainer):
        def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            batches, tokens = super().get_batch_samples(*args, **kwargs)
            objective.begin(batches, self._over_ranks)
            return batches, tokens

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, outputs = objective.loss(model, inputs, num_items_in_batch)
            loss = loss * self.accelerator.num_processes  # the ranks' gradients are averaged, not summed
            return (loss, outputs) if return_outputs else loss

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            if "loss" in logs:  # of a step; the last call tells of the whole training
                logs = logs | objective.logged(self._over_ranks)
            super().log(logs, *args, **kwargs)

        def _over_ranks(self, tensor: Any) -> Any:
            return self.accelerator.reduce(tensor.to(self.args.device), "sum")

    return ObjectiveTrainer
