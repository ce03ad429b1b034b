"""A wave is a list of groups of prompts that the transformers engine answers together, from prefill to the last sample.

Prompts are prefilled in batches of similar length (see `prefill`). A prefix that prompts share is computed once. The greedy
answer and all samples of a prompt share the keys and values of the prompt without copies. Samples with equal prefixes share
a row, so the samples of a prompt form a tree, and each distinct prefix is computed once. Each sample draws from its own
stream of uniform numbers, seeded by (fact, prompt, sample). So the tree gives exactly the answers that sampling one by one
with these streams gives.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradual.probe.answers import ROUND, Answer, Answered, Asking, Decoding, Prompt, Usage, never
from gradual.probe.engines.double import in_double
from gradual.probe.engines.kv_tree import Filling, Level, Rows
from gradual.probe.engines.next_tokens import Draws, Greedy, stream
from gradual.probe.engines.prefill import prefill_of
from gradual.probe.engines.prefixes import shared_prefixes
from gradual.probe.engines.tokenization import Stopper, count_answers


@dataclass(frozen=True)
class Limits:
    """How much the engine computes at a time. Limits change speed and memory; they change answers only by rounding."""

    batch_tokens: int  # of one prefill
    wave_tokens: int  # of the prompts of a wave
    held_tokens: int = 2**30  # of the prompts of a wave, if those of shared prefixes count once
    answer_tokens: int = 2**30  # of the answers that are decoded together
    logits: int = 2**30  # numbers in the logits of one decoding step (prompts * samples, vocabulary)
    together: int = 1024  # the most prompts that are decoded together


@dataclass(frozen=True)
class Task:
    """What the groups of all waves are asked, and the stopper that finds the ends of their answers."""

    decoding: Decoding
    asking: Asking
    stopper: Stopper


@dataclass
class Group:
    """The prompts of a fact, their token ids, and their answers so far, in order."""

    prompts: list[Prompt]
    ids: list[list[int]]
    greedy: dict[int, Answer] = field(default_factory=dict)
    sampled: dict[int, tuple[Answer, ...]] = field(default_factory=dict)

    def answered(self) -> list[Answered]:
        return [Answered(self.prompts[i], self.greedy[i], self.sampled.get(i, ())) for i in sorted(self.greedy)]


@dataclass
class _Chunk:
    """Prompts that are decoded together: their places (group, prompt), token ids, and the results of their prefill."""

    places: list[tuple[int, int]]
    ids: list[list[int]]
    level: Level
    logits: Any  # (prompts, vocabulary), after their last tokens

    def select(self, rows: list[int]) -> "_Chunk":
        """The chunk of the prompts in these rows."""
        import torch

        if len(rows) == len(self.places):
            return self
        index = torch.tensor(rows, device=self.logits.device)
        places, ids = [self.places[row] for row in rows], [self.ids[row] for row in rows]
        return _Chunk(places, ids, self.level.select(index), self.logits.index_select(0, index))


class Wave:
    """Groups that have no answers yet, and the model that answers them; `usage` counts the work."""

    def __init__(self, model: Any, groups: list[Group], task: Task, limits: Limits) -> None:
        self.model, self.groups, self.task, self.limits = model, groups, task, limits
        self.usage = Usage()
        # A prompt has a step each for its prefill, its greedy answer and its samples.
        self._steps: float = sum(len(group.prompts) for group in groups) * (3 if task.decoding.samples else 2)
        self._done = 0.0
        self._prefill = prefill_of(model)

    def share(self) -> float:
        """About which share of the work is done. Until samples prove needless, they count as work to come."""
        return min(1.0, self._done / max(1, self._steps))

    def answer(self) -> list[list[Answered]]:
        """The groups' answers."""
        import torch

        decoding, asking = self.task.decoding, self.task.asking
        with torch.inference_mode():
            rounds = self._answer_greedily()
            settled = asking.settled or never
            wanted = set()
            for number, group in enumerate(self.groups if decoding.samples else ()):
                answered = group.answered()
                if len(answered) == len(group.prompts) and asking.wants_samples(answered) and not settled(answered):
                    wanted.add(number)
            self._steps = self._done + sum(len(self.groups[number].prompts) for number in wanted)
            while rounds and wanted:
                chunks = rounds.pop(0)
                while chunks:  # each chunk's keys and values are freed after its samples
                    self._sample(chunks.pop(0), wanted)
                wanted -= {number for number in wanted if settled(self.groups[number].answered())}
        result = [group.answered() for group in self.groups]
        for answered in result:
            count_answers(self.usage, answered)
        return result

    def _answer_greedily(self) -> list[list[_Chunk]]:
        """Give the groups their greedy answers. Returns each round's prefilled chunks, which samples may continue."""
        asking, groups = self.task.asking, self.groups
        settled = asking.settled or never
        size = ROUND if asking.settled else max((len(group.prompts) for group in groups), default=1) or 1
        rounds: list[list[_Chunk]] = []
        going = list(range(len(groups)))
        begin = 0
        while going:
            places = [(g, p) for g in going for p in range(begin, min(begin + size, len(groups[g].prompts)))]
            rounds.append([])
            for chunk in self._prefilled(places):
                for (g, p), (answer,) in zip(chunk.places, self._decode(chunk, None), strict=True):
                    groups[g].greedy[p] = answer
                if self.task.decoding.samples:
                    rounds[-1].append(chunk)
            begin += size
            going = [g for g in going if begin < len(groups[g].prompts) and not settled(groups[g].answered())]
        return rounds

    def _sample(self, chunk: _Chunk, wanted: set[int]) -> None:
        """Give the groups in `wanted` the sampled answers to the chunk's prompts."""
        rows = [row for row, (g, _) in enumerate(chunk.places) if g in wanted]
        together = self._together(self.task.decoding.samples)
        for start in range(0, len(rows), together):
            part = chunk.select(rows[start : start + together])
            prompts = [self.groups[g].prompts[p] for g, p in part.places]
            streams = np.stack([stream(prompt, self.task.decoding) for prompt in prompts])
            for (g, p), answers in zip(part.places, self._decode(part, streams), strict=True):
                self.groups[g].sampled[p] = tuple(answers)

    def _together(self, rows: int) -> int:
        """How many prompts are decoded together, if each has up to `rows` distinct answers."""
        logits = self.limits.logits // (rows * self.model.config.get_text_config().vocab_size)
        tokens = self.limits.answer_tokens // (rows * self.task.decoding.max_new_tokens)
        return min(self.limits.together, max(1, min(logits, tokens)))

    def _prefilled(self, places: list[tuple[int, int]]) -> Iterator[_Chunk]:
        """Prefill the prompts at these places: first the prefixes that they share, then the rest of each, by chunks."""
        import torch

        if not places:
            return
        device = self.model.device
        ids = [self.groups[g].ids[p] for g, p in places]
        self.usage.prompt_tokens += sum(map(len, ids))
        blocks = sorted(shared_prefixes(ids), key=lambda block: block.length)
        begun = {place: (block.length, number) for number, block in enumerate(blocks) for place in block.places}
        shared = None
        if blocks[-1].length:
            prefixes = [ids[block.places[0]][: block.length] for block in blocks]
            shared = Level.empty(torch.tensor([block.length for block in blocks], device=device))
            self._fill(shared, prefixes, [0] * len(prefixes))
        order = sorted(begun, key=lambda place: (begun[place][0], len(ids[place]), begun[place][1]))
        together = self._together(1)
        for start in range(0, len(order), together):
            chosen = order[start : start + together]
            above = parents = None
            if shared:
                blocks_of = torch.tensor([begun[place][1] for place in chosen], device=device)
                used, parents = torch.unique(blocks_of, return_inverse=True)
                above = shared.select(used)
            lengths = [begun[place][0] for place in chosen]
            own = [ids[place][length:] for place, length in zip(chosen, lengths, strict=True)]
            own_lengths = torch.tensor([len(tokens) for tokens in own], device=device)
            level = Level.empty(own_lengths, above, parents)
            found = self._fill(level, own, lengths)
            last = own_lengths + torch.tensor(lengths, device=device) - 1
            yield _Chunk(
                [places[i] for i in chosen], [ids[i] for i in chosen], level, self._prefill.logits(level, found, last)
            )

    def _fill(self, level: Level, ids: list[list[int]], begun: list[int]) -> Any:
        """Compute a level's keys and values in batches; the sequences are sorted by (begun, length).

        `begun` is the number of tokens before each sequence, in the levels above; it is the same within a batch. Returns
        what the prefill makes the logits of (sequences, …).
        """
        import torch

        found, begin = [], 0
        while begin < len(ids):
            end, most = begin + 1, self.limits.batch_tokens
            while end < len(ids) and begun[end] == begun[begin] and (end + 1 - begin) * len(ids[end]) <= most:
                end += 1
            if length := len(ids[end - 1]):
                rows = [row + [0] * (length - len(row)) for row in ids[begin:end]]
                tokens = torch.tensor(rows, device=self.model.device)
                self.usage.computed_tokens += sum(map(len, ids[begin:end]))
                cache = Filling(level, begin, begun[begin])
                found.append(self._prefill.fill(cache, tokens, level.lengths[begin:end] - 1))
            self._done += end - begin
            begin = end
        return torch.cat(found)

    def _decode(self, chunk: _Chunk, streams: np.ndarray | None) -> list[list[Answer]]:
        """The answers to a chunk's P prompts: greedy ones, or all samples where `streams` (P, samples, tokens) are given.

        A row is a distinct unfinished answer.
        """
        import torch

        decoding, stopper = self.task.decoding, self.task.stopper
        logits, device = chunk.logits, chunk.logits.device
        prompts = len(chunk.places)
        choice = Greedy() if streams is None else Draws(torch.tensor(streams, device=device).flatten(0, 1), decoding)
        lengths = torch.tensor([len(tokens) for tokens in chunk.ids], device=device)
        cache = Rows(chunk.level, torch.arange(prompts, device=device))
        seen = None if decoding.repetition_penalty == 1 else _seen(chunk.ids, logits)
        said = np.empty((prompts, 0), dtype=np.int64)  # the tokens of each row
        owner = np.arange(prompts)
        ends: list[dict[tuple[tuple[int, ...], str], int]] = [defaultdict(int) for _ in range(prompts)]

        def exact(rows: Any) -> Any:
            found = self._in_double([[*chunk.ids[owner[row]], *said[row].tolist()] for row in rows.tolist()])
            return found if seen is None else _penalize(found, seen[rows], decoding.repetition_penalty)

        rounded = self.model.dtype == torch.float32
        for step in range(decoding.max_new_tokens):
            if seen is not None:
                logits = _penalize(logits, seen, decoding.repetition_penalty)
            tokens, parents, counts = choice.next(logits, step, exact if rounded else None)
            above = parents.cpu().numpy()
            said, owner = np.column_stack([said[above], tokens.cpu().numpy()]), owner[above]
            stopped = stopper.ended(said)
            over = stopped | (step + 1 == decoding.max_new_tokens)
            for row in np.flatnonzero(over):
                finish = "stop" if stopped[row] else "length"
                ends[owner[row]][tuple(said[row].tolist()), finish] += int(counts[row])
                self._done += counts[row] / (1 if streams is None else decoding.samples)
            going = np.flatnonzero(~over)
            if not len(going):
                break
            said, owner = said[going], owner[going]
            keep = torch.tensor(going, device=device)
            tokens, parents = tokens[keep], parents[keep]
            choice.keep(keep)
            if seen is not None:
                seen = seen.index_select(0, parents).scatter_(1, tokens[:, None], True)
            cache.branch(parents)
            positions = lengths[torch.tensor(owner, device=device)] + step
            logits = self._forward(tokens[:, None], positions[:, None], cache)[:, -1]
            self.usage.computed_tokens += len(going)
        return [stopper.answers(end) for end in ends]

    def forced(self, said: np.ndarray) -> Any:
        """The logits after each prompt, and after each token of continuations that are given and not chosen.

        `said` (P, c, t) are c continuations of each of the groups' P prompts. Returns (P, c, 1 + t, vocabulary).
        """
        import torch

        device = self.model.device
        places = [(g, p) for g, group in enumerate(self.groups) for p in range(len(group.ids))]
        found: dict[tuple[int, int], Any] = {}
        with torch.inference_mode():
            for chunk in self._prefilled(places):
                prompts, count = len(chunk.places), said.shape[1]
                tokens = torch.tensor(said[[places.index(place) for place in chunk.places]], device=device)
                lengths = torch.tensor([len(ids) for ids in chunk.ids], device=device).repeat_interleave(count)
                cache = Rows(chunk.level, torch.arange(prompts, device=device))
                cache.branch(torch.arange(prompts, device=device).repeat_interleave(count))
                logits = [chunk.logits.repeat_interleave(count, dim=0)]
                for step, column in enumerate(tokens.flatten(0, 1).T):
                    logits.append(self._forward(column[:, None], (lengths + step)[:, None], cache)[:, -1])
                stacked = torch.stack(logits, dim=1).unflatten(0, (prompts, count))
                found |= zip(chunk.places, stacked, strict=True)
        return torch.stack([found[place] for place in places])

    def _in_double(self, ids: list[list[int]]) -> Any:
        """The logits (n, vocabulary) after n sequences of tokens, computed anew in double precision."""
        wave = Wave(self.model, [Group([], ids)], self.task, self.limits)
        with in_double():
            found = wave.forced(np.empty((len(ids), 1, 0), dtype=np.int64))
        return found[:, 0, 0]

    def _forward(self, tokens: Any, positions: Any, cache: Rows) -> Any:
        """The logits (rows, t, vocabulary) after the rows' next tokens (rows, t), at these positions."""
        return self.model(
            input_ids=tokens, position_ids=positions, past_key_values=cache, use_cache=True, tree=cache
        ).logits


def _seen(ids: list[list[int]], logits: Any) -> Any:
    """Which tokens each of the P prompts contains, as booleans of the logits' shape (P, vocabulary)."""
    import torch

    most = max(map(len, ids))
    tokens = torch.tensor([row + row[:1] * (most - len(row)) for row in ids], device=logits.device)
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, tokens, True)


def _penalize(logits: Any, seen: Any, penalty: float) -> Any:
    """The logits, in float32 at least. A token that a row has seen is less likely (or more, if the penalty is below 1)."""
    import torch

    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)
