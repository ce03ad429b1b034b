"""The engine on Hugging Face transformers, on a CPU or a GPU: it answers prompts wave by wave (see `wave`).

On a CPU each thread has waves of its own: the steps of a small model are too short for threads to share them.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gradual.adapters import merged, with_adapter
from gradual.engines.interface import GREEDY_ANSWERS, Answered, Asking, Decoding, Prompt, Usage
from gradual.engines.likelihood import GoldAnswers
from gradual.engines.rules import Encoder, Stopper, short_of_memory
from gradual.engines.tree import install
from gradual.engines.wave import Group, Limits, Task, Wave
from gradual.errors import out_of_memory

log = logging.getLogger("gradual")
Item = TypeVar("Item")
Found = TypeVar("Found")
WAVE = 262144  # tokens
# On a CPU the activations of a batch should stay in its caches; a GPU wants more at a time.
ON_CPU, ON_GPU = Limits(2048, WAVE), Limits(32768, WAVE)


class TransformersEngine:
    """Answers prompts with a causal language model of transformers; `limits` are what suits the device unless given."""

    def __init__(self, model: Any, tokenizer: Any, special_tokens: bool, limits: Limits | None = None) -> None:
        install(model)
        self.model, self.tokenizer, self.special_tokens = model.eval(), tokenizer, special_tokens
        self.limits = limits or (ON_CPU if model.device.type == "cpu" else ON_GPU)
        self.usage = Usage()
        self._encode = Encoder(tokenizer, special_tokens)
        self._smaller: Limits | None = None  # once memory did not suffice
        self._weights = [(parameter, parameter.data) for parameter in model.parameters()]

    def use(self, adapter: Path) -> None:
        adapted = with_adapter(self.model, adapter)  # an adapter that does not fit is refused before anything changes
        for parameter, data in self._weights:  # merging replaces the data of its targets, and changes none in place
            parameter.data = data
        self.model = merged(adapted, adapter).eval()

    def answer(
        self,
        groups: Iterable[list[Prompt]],
        decoding: Decoding,
        asking: Asking = GREEDY_ANSWERS,
    ) -> Iterator[list[Answered]]:
        import torch

        golds = GoldAnswers(self.tokenizer, self.special_tokens, decoding) if decoding.likelihood else None
        task = Task(decoding, asking, Stopper(self.tokenizer, decoding), golds)
        threads = torch.get_num_threads() if self.model.device.type == "cpu" else 1
        waves = self._waves(groups, decoding, threads)
        for answered, usage in _side_by_side(partial(self._answer_within_memory, task), waves, threads):
            self.usage.add(usage)
            yield from answered

    def _answer_within_memory(self, task: Task, groups: list[Group]) -> tuple[list[list[Answered]], Usage]:
        """The groups' answers; where memory does not suffice, once, in halves, and with half of each limit from then on."""
        import torch

        limits = self.limits
        wave = Wave(self.model, groups, task, limits)
        try:
            return wave.answer(), wave.usage
        except Exception as error:
            if not out_of_memory(error):
                raise
            if limits == self._smaller:
                raise short_of_memory(error) from error
            log.warning("out of memory: %s", error)
        self._smaller = self.limits = replace(
            limits,
            batch_tokens=max(1, limits.batch_tokens // 2),
            wave_tokens=limits.wave_tokens // 2,
            logits=limits.logits // 2,
        )
        log.warning("again, with %d tokens a batch and %d a wave", self.limits.batch_tokens, self.limits.wave_tokens)
        torch.cuda.empty_cache()
        middle = -(-len(groups) // 2)
        usage, answers = Usage(), []
        for part in (groups[:middle], groups[middle:]):
            if part:
                found, taken = self._answer_within_memory(task, [Group(group.prompts, group.ids) for group in part])
                usage.add(taken)
                answers += found
        return answers, usage

    def _waves(self, groups: Iterable[list[Prompt]], decoding: Decoding, threads: int) -> Iterator[list[Group]]:
        """Groups with their prompts' token ids, collected until their prompt tokens fill a wave of each thread."""
        wave: list[Group] = []
        held = 0
        for group in groups:
            positions = self.model.config.max_position_embeddings
            ids = self._encode(group, decoding, positions)
            wave.append(Group(group, ids))
            held += sum(map(len, ids))
            if held >= self.limits.wave_tokens // threads:
                yield wave
                wave, held = [], 0
        if wave:
            yield wave


def _side_by_side(work: Callable[[Item], Found], items: Iterable[Item], threads: int) -> Iterator[Found]:
    """What the work gives for each item, in their order, of as many at a time as there are threads."""
    import torch

    if threads == 1:
        yield from map(work, items)
        return
    running: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                running.append(pool.submit(work, item))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for each in running:
                each.cancel()
