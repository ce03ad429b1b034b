"""The settings of a fine-tuning."""

from dataclasses import dataclass

ALL_LINEAR = "all-linear"  # also peft's word


@dataclass(frozen=True)
class TrainingSettings:
    """How a run trains: the keys of the config's section training. The run's own keys override them.

    `targets` names the modules that have an adapter, and ALL_LINEAR all linear ones but the output. `objective`
    names the loss (see `objectives`). `loss_on` names the tokens with loss: "answer" or "text".
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


@dataclass(frozen=True)
class SampleSettings:
    """How the parent of a run is sampled, for the objective `preference`. The fields are keys of its section.

    `align` names the judge of a sample (see `knowledge.alignment`).
    """

    samples: int
    temperature: float
    top_k: int
    align: str


@dataclass(frozen=True)
class PreferenceSettings:
    """The loss of the objective `preference` (see `preference`). The fields are keys of its section."""

    alpha: float
    beta: float
    bound: str  # npo | none
    b: float
    target: bool
