"""The settings of a fine-tuning."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """How a run trains: the keys of the config's section training. The run's own keys override them.

    `objective` names the loss (see `objectives`). `loss_on` names the tokens with loss: "answer" or "text".
    """

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    batch: int
    micro_batch: int
    learning_rate: float
    weight_decay: float
    adam_beta2: float
    epochs: int
    warmup_ratio: float
    objective: str
    loss_on: str
