"""An estimate of the GPU memory of a LoRA training. A model is counted as a Llama or Qwen2 of its size.

The estimate sums the tensors that training keeps: the frozen weights in the model's dtype; the adapter, its gradients and
AdamW's two states in fp32; the tensors that autograd saves in each layer for the backward pass; and the logits with their
softmax. It leaves out the temporary tensors of single operations. SHARE leaves memory for these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradual.models.shape import BYTES, Shape, has_shape, shape_of
from gradual.training.settings import TrainingSettings

CONTEXT = 2 * 2**30  # bytes for CUDA, its libraries and NCCL on a GPU; a guess, not measured
SHARE = 0.9  # share of a GPU's memory that an estimate may fill
PER_LOGIT = 3 * 4  # bytes per logit in the backward pass of the loss: the softmax and two gradients, in fp32
PER_TRAINED = 4 + 4 + 8  # bytes per parameter of the adapter: the parameter, its gradient, AdamW's states


@dataclass(frozen=True)
class Estimate:
    """Bytes on each GPU.

    `weights` are frozen. `adapter` includes gradients and AdamW's states. `activations` are the tensors that autograd
    saves in the layers. `context` is the memory of CUDA itself.
    """

    weights: int
    adapter: int
    activations: int
    logits: int
    context: int = CONTEXT

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.activations + self.logits + self.context


def estimate(
    model: Shape, settings: TrainingSettings, rows: int, tokens: int, dtype: str, ranks: int, checkpointing: bool
) -> Estimate:
    """The peak memory of training on each GPU, with micro batches of `rows` rows of `tokens` tokens.

    Of the `settings`, the LoRA rank, the targets and the dropout count. With checkpointing, each layer keeps only its
    input, and one layer at a time keeps its other tensors, after the logits have been freed. With several ranks, each
    rank keeps the gradients twice, because DDP copies them into buckets.
    """
    trained = model.adapter_parameters(settings.rank, settings.targets)
    half = BYTES[dtype] < 4
    layer = rows * tokens * saved_per_token(model, settings, dtype) + (2 * trained // model.layers if half else 0)
    logits = rows * tokens * model.vocabulary * PER_LOGIT
    activations = model.layers * layer
    if checkpointing:
        activations = model.layers * rows * tokens * model.hidden_size * BYTES[dtype] + max(0, layer - logits)
    return Estimate(
        weights=model.parameters * BYTES[dtype],
        adapter=trained * (PER_TRAINED + (4 if ranks > 1 else 0)),
        activations=activations,
        logits=logits,
    )


def saved_per_token(model: Shape, settings: TrainingSettings, dtype: str) -> int:
    """Bytes that autograd saves per token in one layer.

    They are the inputs of the layer's two norms (fp32); the queries, keys, values, output and softmax normaliser of every
    attention head; the MLP's gate, its activation and up; and for each LoRA target, its input and the product with A. In
    fp32 without dropout, targets with the same input share one saved tensor. Otherwise each target has its own copy.
    """
    size = BYTES[dtype]
    inputs = {"q_proj": "norm", "k_proj": "norm", "v_proj": "norm", "gate_proj": "norm 2", "up_proj": "norm 2"}
    targets = model.targeted(settings.targets)
    widths = {target: model.projections[target][0] for target in targets}
    attention = 4 * model.queries
    if size == 4 and not settings.dropout:
        attention -= widths.get("o_proj", 0)  # its input is the output of attention, which is already counted
        widths = {inputs.get(target, target): width for target, width in widths.items()}
    masks = sum(widths.values()) if settings.dropout else 0
    values = attention + 3 * model.intermediate_size + sum(widths.values()) + settings.rank * len(targets)
    return size * values + masks + 4 * (2 * model.hidden_size + 2 + model.heads)


def needs_checkpointing(
    config: Mapping[str, Any],
    settings: TrainingSettings,
    rows: int,
    tokens: int,
    dtype: str,
    ranks: int,
    memory: int,
) -> bool:
    """Whether training without gradient checkpointing would need more than SHARE of `memory` bytes on a GPU.

    False if the config does not name the model's sizes, because there is no estimate then.
    """
    if not has_shape(config) or dtype not in BYTES:
        return False
    return estimate(shape_of(config), settings, rows, tokens, dtype, ranks, checkpointing=False).total > SHARE * memory
