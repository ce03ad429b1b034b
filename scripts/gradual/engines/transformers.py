"""The engine on Hugging Face transformers, on a CPU or a GPU.

Prompts are prefilled in batches of similar length. What they share at their beginning is computed once, and the last
layer only where something reads it. The keys and values of a prompt are kept once and shared, not copied, by its greedy
answer and by all of its samples; samples with equal prefixes share a row, so that the samples of a prompt form a tree
and each distinct prefix is computed once. Each sample draws from its own stream of uniform numbers, seeded by (fact,
prompt, sample): the tree gives exactly the answers that sampling one by one with these streams gives.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradual.adapters import merged, with_adapter
from gradual.engines.interface import (
    GREEDY_ANSWERS,
    ROUND,
    Answer,
    Answered,
    Asking,
    Decoding,
    Prompt,
    Usage,
    never,
)
from gradual.engines.likelihood import Gold, GoldAnswers, forced, likelihoods
from gradual.engines.prefixes import shared_prefixes
from gradual.engines.rules import Encoder, Stopper, count_answers, short_of_memory
from gradual.engines.tree import Filling, LastToken, Level, Rows, install
from gradual.errors import out_of_memory
from gradual.prompts import seeded

log = logging.getLogger("gradual")
TOGETHER = 1024  # prompts that are decoded together, or as many as keep within
LOGITS = 2**30  # numbers, for a token of each of their samples


@dataclass
class _Group:
    """The prompts of a fact, their token ids, and their answers so far, in order."""

    prompts: list[Prompt]
    ids: list[list[int]]
    greedy: dict[int, Answer] = field(default_factory=dict)
    sampled: dict[int, tuple[Answer, ...]] = field(default_factory=dict)
    likelihoods: dict[int, float] = field(default_factory=dict)

    def answered(self) -> list[Answered]:
        return [
            Answered(self.prompts[i], self.greedy[i], self.sampled.get(i, ()), self.likelihoods.get(i))
            for i in sorted(self.greedy)
        ]


@dataclass
class _Chunk:
    """Prompts that are decoded together: their places (group, prompt), token ids, and what came of their prefill."""

    places: list[tuple[int, int]]
    ids: list[list[int]]
    level: Level
    logits: Any  # (prompts, vocabulary), after their last tokens

    def select(self, rows: list[int]) -> "_Chunk":
        """The prompts of these numbers."""
        import torch

        if len(rows) == len(self.places):
            return self
        index = torch.tensor(rows, device=self.logits.device)
        places, ids = ([kept[row] for row in rows] for kept in (self.places, self.ids))
        return _Chunk(places, ids, self.level.select(index), self.logits.index_select(0, index))


class TransformersEngine:
    """Answers prompts with a causal language model of transformers.

    `batch_tokens` bounds the tokens of one prefill (0: what suits the device), `wave_tokens` those whose keys and values
    are held at a time; both change speed and memory, never an answer (beyond floating point).
    """

    def __init__(
        self, model: Any, tokenizer: Any, special_tokens: bool, batch_tokens: int = 0, wave_tokens: int = 262144
    ) -> None:
        install(model)
        self.model, self.tokenizer, self.special_tokens = model.eval(), tokenizer, special_tokens
        # On a CPU the activations of a batch should stay in its caches; a GPU wants more at a time.
        self.batch_tokens = batch_tokens or (4096 if model.device.type == "cpu" else 32768)
        self.wave_tokens, self._logits = wave_tokens, LOGITS
        self.usage = Usage()
        self._encode = Encoder(tokenizer, special_tokens)
        self._halved = False
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
        stopper = Stopper(self.tokenizer, decoding)
        self._read = GoldAnswers(self.tokenizer, self.special_tokens, decoding) if decoding.likelihood else None
        for wave in self._waves(groups, decoding):
            yield from self._answer_within_memory(wave, decoding, stopper, asking)

    def _answer_within_memory(
        self, wave: list[_Group], decoding: Decoding, stopper: Stopper, asking: Asking
    ) -> list[list[Answered]]:
        """The wave's answers; where memory does not suffice, once, in halves, and with half the tokens from then on."""
        import torch

        before = replace(self.usage)
        try:
            return self._answer_wave(wave, decoding, stopper, asking)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if self._halved:
                raise short_of_memory(error) from error
            log.warning("out of memory: %s", error)
        self._halved, self.usage = True, before
        self.batch_tokens, self.wave_tokens = max(1, self.batch_tokens // 2), self.wave_tokens // 2
        self._logits //= 2
        log.warning("again, with %d tokens a batch and %d a wave", self.batch_tokens, self.wave_tokens)
        torch.cuda.empty_cache()
        middle = -(-len(wave) // 2)
        parts = [part for part in (wave[:middle], wave[middle:]) if part]
        return [a for part in parts for a in self._answer_within_memory(part, decoding, stopper, asking)]

    def _waves(self, groups: Iterable[list[Prompt]], decoding: Decoding) -> Iterator[list[_Group]]:
        """Groups with their prompts' token ids, collected until their prompt tokens fill a wave."""
        wave: list[_Group] = []
        held = 0
        for group in groups:
            positions = self.model.config.max_position_embeddings
            ids = self._encode(group, decoding, positions)
            wave.append(_Group(group, ids))
            held += sum(map(len, ids))
            if held >= self.wave_tokens:
                yield wave
                wave, held = [], 0
        if wave:
            yield wave

    def _answer_wave(
        self, wave: list[_Group], decoding: Decoding, stopper: Stopper, asking: Asking
    ) -> list[list[Answered]]:
        import torch

        for group in wave:  # as it was, where memory did not suffice
            group.greedy, group.sampled, group.likelihoods = {}, {}, {}
        with torch.inference_mode():
            rounds = self._answer_greedily(wave, decoding, stopper, asking)
            settled = asking.settled or never
            wanted = set()
            for number, group in enumerate(wave if decoding.samples else ()):
                answered = group.answered()
                if len(answered) == len(group.prompts) and asking.wants_samples(answered) and not settled(answered):
                    wanted.add(number)
            while rounds and wanted:
                chunks = rounds.pop(0)
                while chunks:  # each chunk's keys and values are freed after its samples
                    self._sample(chunks.pop(0), wave, wanted, decoding, stopper)
                wanted -= {number for number in wanted if settled(wave[number].answered())}
        result = [group.answered() for group in wave]
        for answered in result:
            count_answers(self.usage, answered)
        return result

    def _answer_greedily(
        self, wave: list[_Group], decoding: Decoding, stopper: Stopper, asking: Asking
    ) -> list[list[_Chunk]]:
        """Give the groups their greedy answers; what was prefilled, by rounds, if samples may continue it."""
        size = ROUND if asking.settled else max((len(group.prompts) for group in wave), default=1) or 1
        rounds: list[list[_Chunk]] = []
        going = list(range(len(wave)))
        begin = 0
        while going:
            places = [(g, p) for g in going for p in range(begin, min(begin + size, len(wave[g].prompts)))]
            rounds.append([])
            for chunk in self._prefilled(places, wave, self._together(decoding.samples)):
                for (g, p), (answer,) in zip(chunk.places, self._decode(chunk, decoding, stopper, None), strict=True):
                    wave[g].greedy[p] = answer
                if decoding.samples:
                    rounds[-1].append(chunk)
            begin += size
            going = [g for g in going if begin < len(wave[g].prompts) and not asking.settled(wave[g].answered())]
        return rounds

    def _sample(
        self, chunk: _Chunk, wave: list[_Group], wanted: set[int], decoding: Decoding, stopper: Stopper
    ) -> None:
        """Give the wanted groups the samples of the chunk's prompts, or their likelihoods in the place of these."""
        rows = [row for row, (g, _) in enumerate(chunk.places) if g in wanted]
        if not rows:
            return
        chunk = chunk.select(rows)
        if self._read:
            golds = self._read.of([wave[g].prompts[p] for g, p in chunk.places], chunk.ids)
            for (g, p), found in zip(chunk.places, self._likelihoods(chunk, golds, decoding), strict=True):
                wave[g].likelihoods[p] = found
            return
        streams = np.stack([_stream(wave[g].prompts[p], decoding) for g, p in chunk.places])
        for (g, p), answers in zip(chunk.places, self._decode(chunk, decoding, stopper, streams), strict=True):
            wave[g].sampled[p] = tuple(answers)

    def _together(self, tokens: int) -> int:
        """How many prompts are decoded together, where each has logits after so many tokens at a time."""
        return min(TOGETHER, max(1, self._logits // (max(1, tokens) * self.model.config.vocab_size)))

    def _prefilled(self, places: list[tuple[int, int]], wave: list[_Group], together: int) -> Iterator[_Chunk]:
        """The prompts at these places, prefilled: what they share at first, then chunk by chunk what is their own."""
        import torch

        if not places:
            return
        device = self.model.device
        ids = [wave[g].ids[p] for g, p in places]
        self.usage.prompt_tokens += sum(map(len, ids))
        blocks = sorted(shared_prefixes(ids), key=lambda block: block.length)
        begun = {place: (block.length, number) for number, block in enumerate(blocks) for place in block.places}
        shared = None
        if blocks[-1].length:
            prefixes = [ids[block.places[0]][: block.length] for block in blocks]
            shared = Level.empty(self.model, torch.tensor([block.length for block in blocks], device=device))
            self._fill(shared, prefixes, [0] * len(prefixes))
        order = sorted(begun, key=lambda place: (begun[place][0], len(ids[place]), begun[place][1]))
        for start in range(0, len(order), together):
            chosen = order[start : start + together]
            lengths = [begun[place][0] for place in chosen]
            own = [ids[place][length:] for place, length in zip(chosen, lengths, strict=True)]
            above = parents = None
            if shared:
                blocks_of = torch.tensor([begun[place][1] for place in chosen], device=device)
                used, parents = torch.unique(blocks_of, return_inverse=True)
                above = shared.select(used)
            own_lengths = torch.tensor([len(tokens) for tokens in own], device=device)
            level = Level.empty(self.model, own_lengths, above, parents)
            logits = self._fill(level, own, lengths, logits=True)
            yield _Chunk([places[i] for i in chosen], [ids[i] for i in chosen], level, logits)

    def _fill(self, level: Level, ids: list[list[int]], begun: list[int], logits: bool = False) -> Any:
        """Compute a level's keys and values, in batches, of sequences sorted by (begun, length); and the logits after them.

        `begun` is how many tokens there are above each sequence, the same within a batch.
        """
        import torch

        found, begin = [], 0
        while begin < len(ids):
            end = begin + 1
            while (
                end < len(ids) and begun[end] == begun[begin] and (end + 1 - begin) * len(ids[end]) <= self.batch_tokens
            ):
                end += 1
            if length := len(ids[end - 1]):
                part = level.part(begin, end, length)
                found.append(self._prefill(part, ids[begin:end], begun[begin], logits))
            begin = end
        return torch.cat(found) if logits else None

    def _prefill(self, level: Level, ids: list[list[int]], begun: int, logits: bool) -> Any:
        """Fill a level in one pass of the model; the logits (sequences, vocabulary) after the last tokens, where wanted."""
        import torch
        from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

        model, length = self.model.model, len(ids[-1])
        self.usage.computed_tokens += sum(map(len, ids))
        tokens = torch.tensor([row + [0] * (length - len(row)) for row in ids], device=self.model.device)
        cache = Filling(level, begun)
        hidden = model.embed_tokens(tokens)
        rotary = model.rotary_emb(hidden, begun + torch.arange(length, device=tokens.device)[None])
        for layer in model.layers[:-1]:
            hidden = layer(hidden, position_embeddings=rotary, past_key_values=cache, tree=cache)
        # Of the last layer all keys and values are needed, but its output after the last tokens only.
        layer, attention = model.layers[-1], model.layers[-1].self_attn
        normed = layer.input_layernorm(hidden)
        shape = (*tokens.shape, -1, attention.head_dim)
        key, value = (product(normed).view(shape).transpose(1, 2) for product in (attention.k_proj, attention.v_proj))
        cache.update(apply_rotary_pos_emb(key, key, *rotary)[0], value, attention.layer_idx)
        if not logits:
            return None
        rows, last = torch.arange(len(ids), device=tokens.device), level.lengths - 1
        cache = LastToken(level, rows)
        rotary = tuple(part[0, last][:, None] for part in rotary)
        hidden = layer(hidden[rows, last][:, None], position_embeddings=rotary, past_key_values=cache, tree=cache)
        return self.model.lm_head(model.norm(hidden))[:, 0]

    def _decode(
        self, chunk: _Chunk, decoding: Decoding, stopper: Stopper, streams: np.ndarray | None
    ) -> list[list[Answer]]:
        """Answers of a chunk's P prompts: the greedy one, or, from streams (P, samples, tokens), all samples.

        A row is a distinct unfinished answer; `row_of` says which row each live sample is on.
        """
        import torch

        logits, device = chunk.logits, chunk.logits.device
        prompts = len(chunk.places)
        draws = None
        if streams is not None:
            draws = _Draws(torch.tensor(streams, device=device).flatten(0, 1), decoding)
        lengths = torch.tensor([len(tokens) for tokens in chunk.ids], device=device)
        cache = Rows(chunk.level, torch.arange(prompts, device=device))
        seen = None if decoding.repetition_penalty == 1 else _seen(chunk.ids, logits)
        said = np.empty((prompts, 0), dtype=np.int64)  # the tokens of each row
        owner = np.arange(prompts)
        ends: list[dict[tuple[tuple[int, ...], str], int]] = [defaultdict(int) for _ in range(prompts)]
        for step in range(decoding.max_new_tokens):
            if seen is not None:
                logits = _penalize(logits, seen, decoding.repetition_penalty)
            if draws is None:
                tokens, parents = logits.argmax(-1), torch.arange(len(logits), device=device)
                counts = np.ones(len(owner), dtype=np.int64)
            else:
                tokens, parents, counts = draws.next(logits, step)
            above = parents.cpu().numpy()
            said, owner = np.column_stack([said[above], tokens.cpu().numpy()]), owner[above]
            stopped = stopper.ended(said)
            over = stopped | (step + 1 == decoding.max_new_tokens)
            for row in np.flatnonzero(over):
                finish = "stop" if stopped[row] else "length"
                ends[owner[row]][tuple(said[row].tolist()), finish] += int(counts[row])
            going = np.flatnonzero(~over)
            if not len(going):
                break
            said, owner = said[going], owner[going]
            keep = torch.tensor(going, device=device)
            tokens, parents = tokens[keep], parents[keep]
            if draws:
                draws.keep(keep)
            if seen is not None:
                seen = seen.index_select(0, parents).scatter_(1, tokens[:, None], True)
            cache.branch(parents)
            positions = lengths[torch.tensor(owner, device=device)] + step
            logits = self.model(
                input_ids=tokens[:, None],
                position_ids=positions[:, None],
                past_key_values=cache,
                use_cache=True,
                tree=cache,
            ).logits[:, -1]
            self.usage.computed_tokens += len(going)
        return [stopper.answers(end) for end in ends]

    def _likelihoods(self, chunk: _Chunk, golds: list[Gold], decoding: Decoding) -> list[float]:
        """The likelihood of each prompt's gold answer, from one pass over the answers' tokens after the prompts."""
        import torch

        tokens = torch.tensor(forced(golds), dtype=torch.long, device=chunk.logits.device)
        most = self._together(tokens.shape[1] + 1)
        if len(golds) > most:
            rows = [list(range(start, min(start + most, len(golds)))) for start in range(0, len(golds), most)]
            parts = [self._likelihoods(chunk.select(part), [golds[row] for row in part], decoding) for part in rows]
            return [found for part in parts for found in part]
        logits = chunk.logits[:, None]
        if tokens.shape[1]:
            begun = torch.tensor([len(ids) for ids in chunk.ids], device=tokens.device)
            cache = Rows(chunk.level, torch.arange(len(golds), device=tokens.device))
            self.usage.computed_tokens += tokens.numel()
            after = self.model(
                input_ids=tokens,
                position_ids=begun[:, None] + torch.arange(tokens.shape[1], device=tokens.device),
                past_key_values=cache,
                use_cache=True,
                tree=cache,
            ).logits
            logits = torch.cat([logits, after], dim=1)
        return likelihoods(logits, golds, decoding)


class _Draws:
    """The samples of P prompts, drawn token by token from streams of uniform numbers (P * samples, tokens)."""

    def __init__(self, uniforms: Any, decoding: Decoding) -> None:
        import torch

        self.uniforms, self.decoding = uniforms, decoding
        self.live = torch.arange(len(uniforms), device=uniforms.device)  # samples not yet finished, prompt by prompt
        self.row_of = self.live // decoding.samples
        self._child_of: Any = None

    def next(self, logits: Any, step: int) -> tuple[Any, Any, np.ndarray]:
        """The distinct continuations of the rows: their tokens, the rows they continue, and how many samples they have."""
        import torch

        token = _next_tokens(logits, self.decoding, self.row_of, self.uniforms[self.live, step])
        vocabulary = logits.shape[-1]
        children, self._child_of = torch.unique(self.row_of * vocabulary + token, return_inverse=True)
        counts = torch.bincount(self._child_of).cpu().numpy()
        return children % vocabulary, children // vocabulary, counts

    def keep(self, going: Any) -> None:
        """Go on with these of the continuations."""
        import torch

        place = torch.full((int(self._child_of.max()) + 1,), -1, device=going.device)
        place[going] = torch.arange(len(going), device=going.device)
        row_of = place[self._child_of]
        self.live, self.row_of = self.live[row_of >= 0], row_of[row_of >= 0]


def _stream(prompt: Prompt, decoding: Decoding) -> np.ndarray:
    """The uniform numbers (samples, tokens) of a prompt; a sample's stream depends on fact, prompt and sample."""
    key = seeded(decoding.seed, prompt.fact_id, prompt.index)
    return np.random.Generator(np.random.Philox(key=key)).random((decoding.samples, decoding.max_new_tokens))


def _seen(ids: list[list[int]], logits: Any) -> Any:
    """Which tokens each of the P prompts has, as booleans of the logits' shape (P, vocabulary)."""
    import torch

    most = max(map(len, ids))
    tokens = torch.tensor([row + row[:1] * (most - len(row)) for row in ids], device=logits.device)
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, tokens, True)


def _penalize(logits: Any, seen: Any, penalty: float) -> Any:
    """The logits, in float32, with those of tokens that a row has seen made less likely (more, for a penalty below 1)."""
    import torch

    logits = logits.float()
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def _next_tokens(logits: Any, decoding: Decoding, row_of: Any, uniform: Any) -> Any:
    """A token for each sample, by inverting its row's distribution (temperature, top k)."""
    import torch

    size = logits.shape[-1]
    best = torch.topk(logits.float() / decoding.temperature, min(decoding.top_k or size, size), dim=-1)
    cumulative = torch.cumsum(torch.softmax(best.values.double(), dim=-1), dim=-1)
    place = (cumulative[row_of] < uniform[:, None]).sum(-1).clamp(max=best.values.shape[-1] - 1)
    return best.indices[row_of, place]
