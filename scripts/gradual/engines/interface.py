"""What an engine is given and what it gives back, whatever library runs the model."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Protocol

GREEDY, SAMPLED = "greedy", "sampled"
# Columns of a generations file, a row per distinct answer of a prompt.
GENERATION_COLUMNS = ("fact_id", "prompt_index", "kind", "text", "count", "tokens", "finish")


@dataclass(frozen=True)
class Decoding:
    """How answers are generated. `samples` = 0 asks for greedy answers only."""

    max_new_tokens: int
    stop: tuple[str, ...]
    samples: int = 0
    temperature: float = 1.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Prompt:
    """One prompt of a fact. All prompts of a fact form one group, for which sampling is decided together."""

    fact_id: str
    index: int
    text: str


@dataclass(frozen=True)
class Answer:
    """A distinct answer to a prompt: its text up to the stop string, and how many of the samples gave it."""

    text: str
    tokens: int  # generated, the stopping token included
    finish: str  # stop | length
    count: int = 1


@dataclass
class Usage:
    """What an engine has done so far."""

    prompts: int = 0
    prompt_tokens: int = 0  # tokens of the prompts that were prefilled
    computed_tokens: int = 0  # positions that went through the model, prefill and decoding
    answer_tokens: int = 0  # tokens of all answers, each sample counted
    cut_off: int = 0  # answers that reached max_new_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Answered:
    """A prompt with its greedy answer and, where sampling was asked for, its distinct sampled answers."""

    prompt: Prompt
    greedy: Answer
    sampled: tuple[Answer, ...] = ()


class Engine(Protocol):
    """A loaded model that answers prompts."""

    usage: Usage

    def answer(
        self,
        groups: Iterable[list[Prompt]],
        decoding: Decoding,
        wants_samples: Callable[[list[Answered]], bool],
    ) -> Iterator[list[Answered]]:
        """Answer each group (the prompts of one fact), in order, as a stream.

        Every prompt gets a greedy answer; then `decoding.samples` samples per prompt for the groups of which
        `wants_samples` says so, given their greedy answers.
        """
        ...
