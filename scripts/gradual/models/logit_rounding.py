"""How far rounding alone moves the logits of a model that is computed in two ways."""

from typing import Any

# As a share of the largest logit. A model of 30 layers reaches some tenth of it.
TOLERANCE = {"float32": 1e-4, "float16": 2**-6, "bfloat16": 2**-4}


def difference(found: Any, own: Any) -> float:
    """The largest difference between two tensors of logits, as a share of the largest of `own`; NaN if one has NaN."""
    found, own = found.float(), own.float()
    return float((found - own).abs().max() / own.abs().max())


def exceeds(difference: float, model: Any) -> str:
    """What a difference exceeds, in words, or the empty text if rounding in the model's dtype allows it. NaN exceeds it."""
    dtype = str(model.dtype).removeprefix("torch.")
    if difference <= TOLERANCE[dtype]:
        return ""
    allowed = f"where rounding in {dtype} allows {TOLERANCE[dtype]:.2g}"
    return f"its logits would differ by {difference:.2g} of the largest one, {allowed}"
