"""The objective cross_entropy: the mean negative log-likelihood of the tokens with loss."""

from typing import Any


def loss(model: Any, batch: dict[str, Any], tokens: Any) -> tuple[Any, Any]:
    """The loss of a micro batch with input_ids and labels (see `objectives`), and the model's outputs."""
    outputs = model(**batch, num_items_in_batch=tokens)
    return outputs["loss"], outputs
