"""How much GPU memory a LoRA training takes: a calculation for the architecture of Llama and Qwen2.

What training keeps is counted tensor by tensor: frozen weights in the model's dtype; the adapter, its gradients and
AdamW's two states in fp32; what autograd saves of each layer for the backward pass; and the logits with their softmax. The
largest of what comes and goes within one operation is not, for which a share of the GPU is left (SHARE).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradual.models.shape import ARCHITECTURES, BYTES, Shape, shape_of
from gradual.training.settings import TrainingSettings

CONTEXT = 2 * 2**30  # bytes that CUDA, its libraries and NCCL take of a GPU: an allowance, not measured
SHARE = 0.9  # of a GPU's memory that an estimate may fill
PER_LOGIT = 3 * 4  # bytes: at the loss's backward pass its softmax and two gradients, in fp32
PER_TRAINED = 4 + 4 + 8  # bytes per parameter of the adapter: itself, its gradient, AdamW's states


@dataclass(frozen=True)
class Estimate:
    """Bytes on each GPU: the frozen weights, all of the adapter, what layers save, the logits, and CUDA's own."""

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
    """What training takes on each GPU at its peak, with micro batches of `rows` rows of `tokens` tokens.

    `settings` are a run's training settings (rank, targets, dropout). With checkpointing, layers keep their inputs only,
    and one layer at a time the rest; the logits have gone by then. Several ranks keep gradients twice (DDP's buckets).
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

    The inputs of the layer's two norms (fp32); of attention, queries, keys and values of every head, the output and the
    softmax's normaliser; of the MLP, gate, its activation and up; of LoRA, the input of each target and its product with
    A. In fp32 without dropout, inputs that are one tensor are saved once; else each target has a copy of its own.
    """
    size = BYTES[dtype]
    inputs = {"q_proj": "norm", "k_proj": "norm", "v_proj": "norm", "gate_proj": "norm 2", "up_proj": "norm 2"}
    widths = {target: model.projections[target][0] for target in settings.targets}
    attention = 4 * model.queries
    if size == 4 and not settings.dropout:
        attention -= widths.get("o_proj", 0)  # whose input is attention's output
        widths = {inputs.get(target, target): width for target, width in widths.items()}
    masks = sum(widths.values()) if settings.dropout else 0
    values = attention + 3 * model.intermediate_size + sum(widths.values()) + settings.rank * len(settings.targets)
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
    """Whether training would not fit into a share of so many bytes of GPU memory without gradient checkpointing.

    False for a model of another architecture, of which no estimate is made.
    """
    if config["model_type"] not in ARCHITECTURES or dtype not in BYTES:
        return False
    return estimate(shape_of(config), settings, rows, tokens, dtype, ranks, checkpointing=False).total > SHARE * memory
