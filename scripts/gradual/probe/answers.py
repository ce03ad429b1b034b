"""What an engine is given and what it gives back, whatever library runs the model."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

ROUND = 2  # prompts of a fact that are asked together where its answers may settle it


@dataclass(frozen=True)
class Decoding:
    """How answers are generated. `samples` = 0 asks for greedy answers only."""

    max_new_tokens: int
    stop: tuple[str, ...]
    samples: int = 0
    temperature: float = 1.0
    top_k: int = 0
    seed: int = 0
    repetition_penalty: float = 1.0  # of tokens in the prompt or the answer so far; 1 for none


@dataclass(frozen=True)
class Deployment:
    """Where an engine runs and what it may take there. It changes speed and memory, never what the model is asked."""

    gpus: int = 0  # of the job; an engine that can splits the model over them
    memory_share: float = 0.9  # of a GPU's memory
    max_model_length: int = 0  # tokens of a prompt and its answer; 0 for the model's own


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

    def add(self, other: "Usage") -> None:
        """Count what was done elsewhere, too."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)


@dataclass(frozen=True)
class Answered:
    """A prompt with its greedy answer and, where sampling was asked for, its distinct sampled answers."""

    prompt: Prompt
    greedy: Answer
    sampled: tuple[Answer, ...] = ()


def never(answered: list[Answered]) -> bool:
    return False


@dataclass(frozen=True)
class Asking:
    """What is asked about a fact, by its answers so far.

    `wants_samples`, given all of its greedy answers: whether its prompts get sampled answers, too.
    `settled`, given the answers so far: whether further ones cannot matter. The fact's next prompts are then not asked, or
    not sampled. Without it, every prompt is asked at once.
    """

    wants_samples: Callable[[list[Answered]], bool] = never
    settled: Callable[[list[Answered]], bool] | None = None


GREEDY_ANSWERS = Asking()


class Engine(Protocol):
    """A loaded state of a model that answers prompts."""

    usage: Usage

    def use(self, adapter: Path) -> None:
        """Answer with this adapter on the loaded state from now on, in the place of one that was used before."""
        ...

    def answer(self, groups: Iterable[list[Prompt]], decoding: Decoding, asking: Asking) -> Iterator[list[Answered]]:
        """Answer each group (the prompts of one fact), in order, as a stream.

        Every prompt gets a greedy answer. The groups that want samples then get `decoding.samples` per prompt. With
        `asking.settled`, a group's prompts are asked ROUND at a time, in order, until the group is settled; only the
        prompts that were asked are yielded. Its samples are asked for in the same way.
        """
        ...
