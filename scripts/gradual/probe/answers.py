"""What every engine takes and returns, and the interface of an engine."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

BROKEN = "\ufffd"  # what decoders write for the bytes of a part of a character
ROUND = 2  # prompts of a fact that are asked together, if its answers may make further ones needless


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
    """Where an engine runs and how much memory it may use. This changes speed and memory, but not what it is asked."""

    gpus: int = 0  # of the job; an engine may split the model over them
    memory_share: float = 0.9  # of a GPU's memory
    max_model_length: int = 0  # tokens of a prompt and its answer; 0 for the model's own
    memory: int = 0  # bytes of the machine's memory that the job may take; 0 for what the scheduler or the machine has


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
    """The work that an engine has done so far."""

    prompts: int = 0
    prompt_tokens: int = 0  # tokens of the prompts that were prefilled
    computed_tokens: int = 0  # positions that went through the model, prefill and decoding
    answer_tokens: int = 0  # tokens of all answers, each sample counted
    cut_off: int = 0  # answers that reached max_new_tokens

    def add(self, other: "Usage") -> None:
        """Add the work that is counted in another usage."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)


@dataclass(frozen=True)
class Progress:
    """How far an engine's answers are, in groups.

    `done` counts parts of groups that are being answered. `whole` counts the groups up to the last one that was answered
    together with the group that was yielded last. A job that goes on after them answers the others as this one does.
    """

    done: float
    whole: int


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
    """Decides from a fact's answers so far what is asked about it next.

    `wants_samples` takes all greedy answers of the fact, and says whether its prompts get sampled answers, too.
    `settled` takes the answers so far, and says whether further ones cannot matter. If so, the fact's next prompts are not
    asked, or not sampled. Without `settled`, all prompts are asked at once.
    """

    wants_samples: Callable[[list[Answered]], bool] = never
    settled: Callable[[list[Answered]], bool] | None = None


GREEDY_ANSWERS = Asking()


class Engine(Protocol):
    """A loaded state of a model that answers prompts."""

    usage: Usage

    def use(self, adapter: Path) -> None:
        """From now on, answer with this adapter on the loaded state. It replaces an adapter that was used before."""
        ...

    def answer(self, groups: Iterable[list[Prompt]], decoding: Decoding, asking: Asking) -> Iterator[list[Answered]]:
        """Answer each group (the prompts of one fact), and yield the answers in order.

        Every prompt gets a greedy answer. Then the groups that want samples get `decoding.samples` per prompt. With
        `asking.settled`, a group's prompts are asked ROUND at a time, in order, until the group is settled; only the
        prompts that were asked are yielded. Its samples are asked for in the same way.
        """
        ...

    def progress(self) -> Progress:
        """The progress of `answer`, since it was called last."""
        ...
