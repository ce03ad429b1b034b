"""The settings of probes and evaluations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AnswerSettings:
    """How a question is asked and answered in probes and evaluations. The fields are keys of the config's section probe."""

    shots: int
    exemplars: str  # per_fact | per_relation
    exemplar_split: str
    format: str  # plain | chat
    template_arguments: Mapping[str, Any]  # of the chat template
    stop: tuple[str, ...]
    max_new_tokens: int
    repetition_penalty: float


@dataclass(frozen=True)
class Sampling:
    """How a probe samples answers. The fields are keys of the config's section probe."""

    samples: int
    temperature: float
    top_k: int


@dataclass(frozen=True)
class ProbeKey:
    """A probe of a state under a seed of the study. It seeds the prompts and the samples."""

    seed: int
    state: str
    probe: int
