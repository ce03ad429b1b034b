"""Objectives: the losses that a run can train with, by name.

An objective takes the model, a micro batch and the number of tokens with loss in the whole step, over all ranks and
accumulated batches. It returns this micro batch's part of the step's mean loss, a scalar tensor.
"""

from typing import Any

from gradual.ground.choices import Choice

OBJECTIVES = Choice("objective", {"cross_entropy": "gradual.training.cross_entropy:loss"})


def trainer_class(objective: str) -> Any:
    """A transformers Trainer that trains with an objective."""
    from transformers import Trainer

    loss_of = OBJECTIVES[objective]

    class ObjectiveTrainer(Trainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, outputs = loss_of(model, inputs, num_items_in_batch)
            loss = loss * self.accelerator.num_processes  # the ranks' gradients are averaged, not summed
            return (loss, outputs) if return_outputs else loss

    return ObjectiveTrainer
