"""The engine on Hugging Face transformers, on a CPU or a GPU.

Prompts of equal length are prefilled together, without padding. The prefix cache of a prompt is kept once and shared, not
copied, by its greedy answer and by all of its samples; samples with equal prefixes share a row, so that the samples of a
prompt form a tree and each distinct prefix is computed once. Each sample draws from its own stream of uniform numbers,
seeded by (fact, prompt, sample): the tree gives exactly the answers that sampling one by one with these streams gives.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradual.adapters import merged, with_adapter
from gradual.engines.interface import GREEDY_ANSWERS, Answer, Answered, Asking, Decoding, Prompt, Usage
from gradual.engines.rules import Stopper, count_answers, short_of_memory, token_ids
from gradual.errors import InputError, out_of_memory
from gradual.prompts import seeded

log = logging.getLogger("gradual")
ATTENTION = "shared_prefix"
ARCHITECTURES = ("llama", "qwen2")  # plain causal attention, as `_attend` computes it; each is compared with generate


@dataclass
class _Prefix:
    """The prefix cache of a bucket of P prompts of L tokens: per layer, keys and values of shape (P, heads, L, size)."""

    keys: list[Any]
    values: list[Any]

    def select(self, rows: Any) -> "_Prefix":
        return _Prefix([k.index_select(0, rows) for k in self.keys], [v.index_select(0, rows) for v in self.values])


class _TreeCache:
    """A transformers cache of R rows, each continuing one of the P prompts of a prefix.

    Without a prefix it records the keys and values of a prefill. With one, `update` returns the rows' own keys and
    values after the prefix, of shape (R, heads, t, size). `owner` (R,) is the prompt of each row, in ascending order;
    `slot` (R,) numbers the rows of a prompt.
    """

    is_compileable = False

    def __init__(self, prefix: _Prefix | None = None, length: int = 0) -> None:
        self.prefix, self.length = prefix, length
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.owner: Any = None
        self.slot: Any = None
        self.width = 1

    def update(self, key: Any, value: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        import torch

        if layer == len(self.keys):
            self.keys.append(key)
            self.values.append(value)
        else:
            self.keys[layer] = torch.cat([self.keys[layer], key], dim=2)
            self.values[layer] = torch.cat([self.values[layer], value], dim=2)
        return self.keys[layer], self.values[layer]

    def get_seq_length(self, layer: int = 0) -> int:
        return self.length + (self.keys[layer].shape[2] if layer < len(self.keys) else 0)

    def branch(self, parents: Any, owner: Any) -> None:
        """Make the rows children of the rows `parents` (R',), belonging to the prompts `owner` (R',)."""
        import torch

        self.keys = [k.index_select(0, parents) for k in self.keys]
        self.values = [v.index_select(0, parents) for v in self.values]
        self.owner = owner
        prompts = self.prefix.keys[0].shape[0]
        counts = torch.bincount(owner, minlength=prompts)
        starts = torch.cumsum(counts, 0) - counts
        self.slot = torch.arange(len(owner), device=owner.device) - starts[owner]
        self.width = int(counts.max())


def _attend(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
    """Attention of the rows of a tree: causal self-attention at prefill, shared prefix plus own tokens afterwards."""
    import torch
    import torch.nn.functional as F

    cache = options["tree"]
    scale, groups = options["scaling"], module.num_key_value_groups
    if cache.prefix is None:
        out = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=groups > 1)
        return out.transpose(1, 2), None
    prefix_key, prefix_value = cache.prefix.keys[module.layer_idx], cache.prefix.values[module.layer_idx]
    prompts, heads, length, size = prefix_key.shape
    rows = query.shape[0]
    query = query.reshape(rows, heads, groups, size) * scale
    # The rows of a prompt stand side by side, padded to the widest prompt, so that its prefix is read in place.
    side = query.new_zeros(prompts, cache.width, heads, groups, size)
    side[cache.owner, cache.slot] = query
    side = side.permute(0, 2, 1, 3, 4).reshape(prompts, heads, cache.width * groups, size)
    before = torch.matmul(side, prefix_key.transpose(2, 3)).view(prompts, heads, cache.width, groups, length)
    before = before.permute(0, 2, 1, 3, 4)[cache.owner, cache.slot]
    own = torch.matmul(query, key.transpose(2, 3))
    weights = torch.softmax(torch.cat([before, own], dim=-1), dim=-1, dtype=torch.float32).to(query.dtype)
    side = query.new_zeros(prompts, cache.width, heads, groups, length)
    side[cache.owner, cache.slot] = weights[..., :length]
    side = side.permute(0, 2, 1, 3, 4).reshape(prompts, heads, cache.width * groups, length)
    out = torch.matmul(side, prefix_value).view(prompts, heads, cache.width, groups, size)
    out = out.permute(0, 2, 1, 3, 4)[cache.owner, cache.slot] + torch.matmul(weights[..., length:], value)
    return out.reshape(rows, 1, heads * groups, size), None


class TransformersEngine:
    """Answers prompts with a causal language model of transformers.

    `batch_tokens` bounds the prompt tokens of one prefill, `wave_tokens` those whose cache is held at a time; both
    change speed and memory, never an answer (beyond floating point).
    """

    def __init__(
        self, model: Any, tokenizer: Any, special_tokens: bool, batch_tokens: int = 16384, wave_tokens: int = 262144
    ) -> None:
        from transformers import AttentionInterface

        check_attention(model.config)
        AttentionInterface.register(ATTENTION, _attend)
        model.set_attn_implementation(ATTENTION)
        self.model, self.tokenizer, self.special_tokens = model.eval(), tokenizer, special_tokens
        self.batch_tokens, self.wave_tokens = batch_tokens, wave_tokens
        self.usage = Usage()
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
        for wave in self._waves(groups, decoding):
            yield from self._answer_within_memory(wave, decoding, stopper, asking)

    def _answer_within_memory(
        self, wave: list, decoding: Decoding, stopper: Stopper, asking: Asking
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
        log.warning("again, with %d tokens a batch and %d a wave", self.batch_tokens, self.wave_tokens)
        torch.cuda.empty_cache()
        middle = -(-len(wave) // 2)
        parts = [part for part in (wave[:middle], wave[middle:]) if part]
        return [a for part in parts for a in self._answer_within_memory(part, decoding, stopper, asking)]

    def _waves(
        self, groups: Iterable[list[Prompt]], decoding: Decoding
    ) -> Iterator[list[tuple[list[Prompt], list[list[int]]]]]:
        """Groups with their prompts' token ids, collected until their prompt tokens fill a wave."""
        wave: list[tuple[list[Prompt], list[list[int]]]] = []
        held = 0
        for group in groups:
            positions = self.model.config.max_position_embeddings
            ids = token_ids(self.tokenizer, group, self.special_tokens, decoding, positions)
            wave.append((group, ids))
            held += sum(map(len, ids))
            if held >= self.wave_tokens:
                yield wave
                wave, held = [], 0
        if wave:
            yield wave

    def _buckets(self, wave: list[tuple[list[Prompt], list[list[int]]]]) -> Iterator[list[tuple[int, int]]]:
        """Positions (group, prompt) of prompts of equal length, at most `batch_tokens` together."""
        by_length: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for g, (_, ids) in enumerate(wave):
            for p, tokens in enumerate(ids):
                by_length[len(tokens)].append((g, p))
        for length, places in sorted(by_length.items()):
            rows = max(1, self.batch_tokens // length)
            for start in range(0, len(places), rows):
                yield places[start : start + rows]

    def _answer_wave(self, wave: list, decoding: Decoding, stopper: Stopper, asking: Asking) -> list[list[Answered]]:
        import torch

        greedy: dict[tuple[int, int], Answer] = {}
        sampled: dict[tuple[int, int], tuple[Answer, ...]] = {}
        kept: list[tuple[list[tuple[int, int]], _Prefix, Any]] = []
        with torch.inference_mode():
            for places in self._buckets(wave):
                ids = [wave[g][1][p] for g, p in places]
                prefix, logits = self._prefill(ids)
                ends = self._decode(prefix, ids, logits, decoding, stopper, None)
                greedy.update((place, answers[0]) for place, answers in zip(places, ends, strict=True))
                if decoding.samples:
                    kept.append((places, prefix, logits))
            result = [
                [Answered(prompt, greedy[g, p]) for p, prompt in enumerate(group)] for g, (group, _) in enumerate(wave)
            ]
            wanted = {g for g, answered in enumerate(result) if decoding.samples and asking.wants_samples(answered)}
            while kept:  # each bucket's cache is freed after its samples
                places, prefix, logits = kept.pop()
                rows = [i for i, (g, _) in enumerate(places) if g in wanted]
                if not rows:
                    continue
                chosen = [places[i] for i in rows]
                ids = [wave[g][1][p] for g, p in chosen]
                index = torch.tensor(rows, device=logits.device)
                streams = np.stack([self._stream(wave[g][0][p], decoding) for g, p in chosen])
                ends = self._decode(
                    prefix.select(index), ids, logits.index_select(0, index), decoding, stopper, streams
                )
                sampled.update((place, tuple(answers)) for place, answers in zip(chosen, ends, strict=True))
        for g, answered in enumerate(result):
            result[g] = [Answered(a.prompt, a.greedy, sampled.get((g, p), ())) for p, a in enumerate(answered)]
            count_answers(self.usage, result[g])
        return result

    def _prefill(self, ids: list[list[int]]) -> tuple[_Prefix, Any]:
        """The prefix cache of prompts of equal length and the logits (P, vocabulary) after them."""
        import torch

        tokens = torch.tensor(ids, device=self.model.device)
        self.usage.prompt_tokens += tokens.numel()
        self.usage.computed_tokens += tokens.numel()
        cache = _TreeCache()
        logits = self.model(
            input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1, tree=cache
        ).logits[:, -1]
        return _Prefix(cache.keys, cache.values), logits

    def _stream(self, prompt: Prompt, decoding: Decoding) -> np.ndarray:
        """The uniform numbers (samples, tokens) of a prompt; a sample's stream depends on fact, prompt and sample."""
        key = seeded(decoding.seed, prompt.fact_id, prompt.index)
        return np.random.Generator(np.random.Philox(key=key)).random((decoding.samples, decoding.max_new_tokens))

    def _decode(
        self,
        prefix: _Prefix,
        ids: list[list[int]],
        logits: Any,
        decoding: Decoding,
        stopper: Stopper,
        streams: np.ndarray | None,
    ) -> list[list[Answer]]:
        """Answers of P prompts from their ids, prefix cache and the logits after them: the greedy one, or all samples.

        A row is a distinct unfinished prefix; `row_of` says which row each live sample is on.
        """
        import torch

        prompts, device = logits.shape[0], logits.device
        samples = 1 if streams is None else decoding.samples
        uniforms = None if streams is None else torch.tensor(streams, device=device).reshape(-1, streams.shape[2])
        live = torch.arange(prompts * samples, device=device)  # samples not yet finished, numbered prompt by prompt
        row_of = live // samples
        cache = _TreeCache(prefix, len(ids[0]))
        seen = None if decoding.repetition_penalty == 1 else _seen(ids, logits)
        texts: list[tuple[int, ...]] = [()] * prompts  # tokens of each row
        owner = list(range(prompts))
        ends: list[dict[tuple[tuple[int, ...], str], int]] = [defaultdict(int) for _ in range(prompts)]
        for step in range(decoding.max_new_tokens):
            if seen is not None:
                logits = _penalize(logits, seen, decoding.repetition_penalty)
            token = _next_tokens(logits, decoding, row_of, None if uniforms is None else uniforms[live, step])
            vocabulary = logits.shape[-1]
            children, child_of = torch.unique(row_of * vocabulary + token, return_inverse=True)
            counts = torch.bincount(child_of).tolist()
            parents, tokens = children // vocabulary, children % vocabulary
            grown = [(*texts[r], t) for r, t in zip(parents.tolist(), tokens.tolist(), strict=True)]
            owners = [owner[r] for r in parents.tolist()]
            last = step + 1 == decoding.max_new_tokens
            going = []
            for child, row in enumerate(grown):
                finish = "stop" if stopper.ends(row) else "length" if last else None
                if finish:
                    ends[owners[child]][row, finish] += counts[child]
                else:
                    going.append(child)
            if not going:
                break
            keep = torch.tensor(going, device=device)
            position = torch.full((len(grown),), -1, device=device)
            position[keep] = torch.arange(len(going), device=device)
            row_of = position[child_of]
            live, row_of = live[row_of >= 0], row_of[row_of >= 0]
            texts, owner = [grown[c] for c in going], [owners[c] for c in going]
            cache.branch(parents[keep], torch.tensor(owner, device=device))
            if seen is not None:
                seen = seen.index_select(0, parents[keep]).scatter_(1, tokens[keep, None], True)
            logits = self.model(
                input_ids=tokens[keep, None],
                position_ids=torch.full((1, 1), len(ids[0]) + step, device=device),
                past_key_values=cache,
                use_cache=True,
                tree=cache,
            ).logits[:, -1]
            self.usage.computed_tokens += len(going)
        return [stopper.answers(end) for end in ends]


def check_attention(config: Any) -> None:
    """Raise InputError for a model whose attention is not plain and causal: its answers would be silently wrong."""
    windows = set(getattr(config, "layer_types", None) or ["full_attention"]) - {"full_attention"}
    if config.model_type not in ARCHITECTURES or windows:
        found = f"a {config.model_type} model" + (f" with {', '.join(sorted(windows))}" if windows else "")
        expected = f"{' or '.join(ARCHITECTURES)} with full attention"
        raise InputError("probe.engine", f"transformers cannot probe {found}", expected, key="models")


def _seen(ids: list[list[int]], logits: Any) -> Any:
    """Which tokens each of the P prompts has, as booleans of the logits' shape (P, vocabulary)."""
    import torch

    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, torch.tensor(ids, device=logits.device), True)


def _penalize(logits: Any, seen: Any, penalty: float) -> Any:
    """The logits, in float32, with those of tokens that a row has seen made less likely (more, for a penalty below 1)."""
    import torch

    logits = logits.float()
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def _next_tokens(logits: Any, decoding: Decoding, row_of: Any, uniform: Any) -> Any:
    """A token for each sample: its row's likeliest, or by inverting the row's distribution (temperature, top k)."""
    import torch

    if uniform is None:
        return logits.argmax(-1)[row_of]
    size = logits.shape[-1]
    best = torch.topk(logits.float() / decoding.temperature, min(decoding.top_k or size, size), dim=-1)
    cumulative = torch.cumsum(torch.softmax(best.values.double(), dim=-1), dim=-1)
    place = (cumulative[row_of] < uniform[:, None]).sum(-1).clamp(max=best.values.shape[-1] - 1)
    return best.indices[row_of, place]
