"""The engine on Hugging Face transformers, on a CPU or a GPU. It answers prompts wave by wave (see `wave`).

On a CPU each thread answers a part of a wave, because the steps of a small model are too short for threads to share them.
"""

import gc
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gradual.ground.errors import out_of_memory
from gradual.models.adapters import merged, with_adapter
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import GREEDY_ANSWERS, Answered, Asking, Decoding, Deployment, Progress, Prompt, Usage
from gradual.probe.engines.memory import held_logits, held_tokens
from gradual.probe.engines.model_check import install_checked
from gradual.probe.engines.prefixes import HeldTokens
from gradual.probe.engines.tokenization import Encoder, Stopper, short_of_memory
from gradual.probe.engines.wave import Group, Limits, Task, Wave

log = logging.getLogger("gradual")
Item = TypeVar("Item")
Found = TypeVar("Found")
# On a CPU, the activations of a batch should fit its caches. A GPU needs larger batches, and more prompts in a decoding
# step: on an H200, a step of 1,024 prompts with a model of 135M parameters took 50 ms, at 1% of the card's rate.
ON_CPU, ON_GPU = Limits(2048, 2**18), Limits(32768, 2**21, together=8192)
# Tokens x parameters of a wave. A job that is killed loses its wave, so that a wave must not take more than some minutes.
WORK_ON_CPU, WORK_ON_GPU = 4e12, 4e14


class TransformersEngine:
    """Answers prompts with a causal language model of transformers. The default of `limits` is `limits_of` the model."""

    def __init__(self, model: Any, tokenizer: Any, special_tokens: bool, limits: Limits | None = None) -> None:
        install_checked(model.eval(), tokenizer)
        self.model, self.tokenizer, self.special_tokens = model, tokenizer, special_tokens
        self.limits = limits or limits_of(model, Deployment())
        self.usage = Usage()
        self._whole = 0  # groups of the waves that have been yielded
        self._done: list[int] = []  # the numbers of groups in the parts that are done
        self._at_work: list[Wave] = []
        self._encode = Encoder(tokenizer, special_tokens)
        self._smaller: Limits | None = None  # the limits after the first error for lack of memory
        self._weights = [(parameter, parameter.data) for parameter in model.parameters()]

    def use(self, adapter: Path) -> None:
        adapted = with_adapter(self.model, adapter)  # an adapter that does not fit is refused before anything changes
        for parameter, data in self._weights:  # merging replaces the data, and does not change them in place
            parameter.data = data
        self.model = merged(adapted, adapter).eval()

    def answer(
        self,
        groups: Iterable[list[Prompt]],
        decoding: Decoding,
        asking: Asking = GREEDY_ANSWERS,
    ) -> Iterator[list[Answered]]:
        import torch

        self._whole, self._done = 0, []
        task = Task(decoding, asking, Stopper(self.tokenizer, decoding))
        threads = torch.get_num_threads() if self.model.device.type == "cpu" else 1
        parts = (part for wave in self._waves(groups, decoding) for part in _parts(wave, threads))
        answers: dict[int, list[Answered]] = {}  # of a wave's groups, by their places
        for part, (found, usage) in _side_by_side(
            lambda part: self._answer_within_memory(task, part.groups), parts, threads
        ):
            self.usage.add(usage)
            answers |= zip(part.places, found, strict=True)
            if part.last:
                self._whole += len(answers)
                yield from (answers.pop(place) for place in sorted(answers))

    def progress(self) -> Progress:
        return Progress(
            sum(self._done) + sum(len(wave.groups) * wave.share() for wave in [*self._at_work]), self._whole
        )

    def _answer_within_memory(self, task: Task, groups: list[Group]) -> tuple[list[list[Answered]], Usage]:
        """The groups' answers. At the first lack of memory, each limit is halved for good, and so is this list of groups.

        Raises InputError where memory does not suffice again.
        """
        import torch

        limits = self.limits
        wave = Wave(self.model, groups, task, limits)
        self._at_work.append(wave)
        try:
            found = wave.answer()
            self._done.append(len(groups))
            return found, wave.usage
        except Exception as error:
            if not out_of_memory(error):
                raise
            if limits == self._smaller:
                raise short_of_memory(error) from error
            log.warning("out of memory: %s", str(error))  # no record keeps the error, and so the tensors of its frames
        finally:
            self._at_work.remove(wave)
        self._smaller = self.limits = replace(
            limits,
            batch_tokens=max(1, limits.batch_tokens // 2),
            wave_tokens=limits.wave_tokens // 2,
            held_tokens=limits.held_tokens // 2,
            answer_tokens=limits.answer_tokens // 2,
            logits=limits.logits // 2,
        )
        log.warning("next try: %d tokens per batch, %d per wave", self.limits.batch_tokens, self.limits.wave_tokens)
        del wave
        gc.collect()  # the frames of the error, which hold the wave's tensors, can be parts of cycles
        torch.cuda.empty_cache()
        middle = -(-len(groups) // 2)
        usage, answers = Usage(), []
        for part in (groups[:middle], groups[middle:]):
            if part:
                found, taken = self._answer_within_memory(task, [Group(group.prompts, group.ids) for group in part])
                usage.add(taken)
                answers += found
        return answers, usage

    def _waves(self, groups: Iterable[list[Prompt]], decoding: Decoding) -> Iterator[list[Group]]:
        """Waves of groups with their token ids. A wave is full when its prompts have as many tokens as the limits allow."""
        wave: list[Group] = []
        tokens, held = 0, HeldTokens()
        for group in groups:
            positions = self.model.config.get_text_config().max_position_embeddings
            ids = self._encode(group, decoding, positions)
            wave.append(Group(group, ids))
            tokens += sum(map(len, ids))
            held.add(ids)
            if tokens >= self.limits.wave_tokens or held.count >= self.limits.held_tokens:
                yield wave
                wave, tokens, held = [], 0, HeldTokens()
        if wave:
            yield wave


def load(
    base: Path, adapters: Sequence[Path], special_tokens: bool, dtype: str, deployment: Deployment
) -> TransformersEngine:
    """The engine for a base model with adapters merged into it. It uses one GPU if there is one."""
    model = load_model(base, adapters, dtype)
    return TransformersEngine(model, load_tokenizer(base), special_tokens, limits_of(model, deployment))


def limits_of(model: Any, deployment: Deployment) -> Limits:
    """The limits for a model on its device, within the memory that the job may take."""
    limits, work = (ON_CPU, WORK_ON_CPU) if model.device.type == "cpu" else (ON_GPU, WORK_ON_GPU)
    fitting = held_tokens(model, deployment)
    held, logits = min(fitting, int(work / model.num_parameters())), min(limits.logits, held_logits(model, deployment))
    return replace(limits, held_tokens=held, answer_tokens=fitting, logits=logits)


@dataclass(frozen=True)
class _Part:
    """A thread's share of a wave: groups, their places in the wave, and whether it is the wave's last part."""

    groups: list[Group]
    places: list[int]
    last: bool


def _parts(wave: list[Group], threads: int) -> Iterator[_Part]:
    """A wave's groups, divided over the threads. Groups that begin alike stay together, because they share prefixes."""
    if threads == 1:
        yield _Part(wave, list(range(len(wave))), last=True)
        return
    alike = sorted(range(len(wave)), key=lambda place: wave[place].ids[:1])
    size = -(-len(wave) // threads)
    for start in range(0, len(wave), size):
        places = alike[start : start + size]
        yield _Part([wave[place] for place in places], places, start + size >= len(wave))


def _side_by_side(work: Callable[[Item], Found], items: Iterable[Item], threads: int) -> Iterator[tuple[Item, Found]]:
    """Each item and the result of `work` for it, in the order of the items; each thread works on one item at a time."""
    import torch

    if threads == 1:
        yield from ((item, work(item)) for item in items)
        return
    running: deque[tuple[Item, Future[Found]]] = deque()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                running.append((item, pool.submit(work, item)))
                if len(running) > threads:
                    first, future = running.popleft()
                    yield first, future.result()
            while running:
                first, future = running.popleft()
                yield first, future.result()
        finally:
            for _, future in running:
                future.cancel()
