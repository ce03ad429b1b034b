"""The key-value cache of prompts and answers as a tree, so that what rows share is stored and read once.

A `Level` holds sequences of tokens. One level has the prefixes that prompts share, and the level below it has the rest of
each prompt. `Rows` are the answers that are being decoded; each row continues a sequence of the last level. Sequences of
different lengths are padded on the right.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

ATTENTION = "tree"


class Scoring(NamedTuple):
    """How attention scores a query and a key, as transformers tells it to an attention.

    `scale` multiplies the product. With a `softcap` c, a score s becomes c tanh(s / c). With a `window`, a token reads
    itself and the window - 1 tokens before it. `sinks` (heads,) are the scores of a further key, which has no value.
    """

    scale: float
    window: int | None = None
    softcap: float | None = None
    sinks: Any = None

    def capped(self, scores: Any) -> Any:
        """The scores, with the softcap if there is one."""
        return scores if self.softcap is None else self.softcap * (scores / self.softcap).tanh()


@dataclass
class Level:
    """Keys and values of N sequences: tensors (N, heads, L, size) by layer; `lengths` (N,) do not count padding.

    Layers may have different shapes, because the first keys and values that are stored decide them. If there is a level
    `above`, sequence i continues its sequence `parents[i]`.
    """

    lengths: Any
    longest: int  # L
    above: "Level | None" = None
    parents: Any = None
    keys: dict[int, Any] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls, lengths: Any, above: "Level | None" = None, parents: Any = None) -> "Level":
        """A level to be filled, for sequences of these lengths."""
        return cls(lengths, int(lengths.max()), above, parents)

    def store(self, layer: int, key: Any, value: Any, begin: int) -> None:
        """Store a layer's keys and values (n, heads, t, size) of the first t tokens of n sequences, from `begin`."""
        if layer not in self.keys:
            (_, heads, _, size), place = key.shape, (len(self.lengths), self.longest)
            self.keys[layer] = key.new_empty(place[0], heads, place[1], size)
            # The weight of padding is zero, but zero times NaN is NaN.
            self.values[layer] = value.new_zeros(place[0], heads, place[1], value.shape[3])
        for tensor, part in ((self.keys[layer], key), (self.values[layer], value)):
            tensor[begin : begin + len(part), :, : part.shape[2]] = part

    def select(self, index: Any) -> "Level":
        """A copy of the sequences at these places."""
        keys, values = ({i: t.index_select(0, index) for i, t in ts.items()} for ts in (self.keys, self.values))
        parents = None if self.parents is None else self.parents[index]
        return Level(self.lengths[index], self.longest, self.above, parents, keys, values)

    def begun(self) -> Any:
        """The number of tokens before each sequence, in the levels above (N,)."""
        if self.above is None:
            return self.lengths.new_zeros(len(self.lengths))
        return (self.above.begun() + self.above.lengths)[self.parents]

    def padding(self) -> Any:
        """Where the sequences are padded, as booleans (N, 1, 1, L); None if none is padded."""
        import torch

        if bool((self.lengths == self.longest).all()):
            return None
        return (torch.arange(self.longest, device=self.lengths.device) >= self.lengths[:, None])[:, None, None]


class Filling:
    """The cache of a prefill. It records the keys and values of a level's sequences, which continue those above."""

    is_compileable = False

    def __init__(self, level: Level, begin: int, begun: int) -> None:
        """The sequences of the level are those from `begin`.

        `begun` is the length of the sequences above, which is the same for all; it is 0 if there are none.
        """
        self.level, self.begin, self.begun = level, begin, begun

    def update(self, key: Any, value: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        self.level.store(layer, key, value, self.begin)
        return key, value

    def get_seq_length(self, layer: int = 0) -> int:
        return self.begun

    def attend(self, layer: int, query: Any, key: Any, value: Any, scoring: Scoring) -> Any:
        """Causal attention of the sequences' tokens (N, heads, t, size) to the sequences above and to themselves."""
        import torch
        import torch.nn.functional as F

        plain = scoring.softcap is None and scoring.sinks is None
        way = {"scale": scoring.scale, "enable_gqa": query.shape[1] != key.shape[1]}
        tokens, window = query.shape[2], scoring.window or 0
        windowed = 0 < window < self.begun + tokens
        if plain and not self.begun and not windowed:
            return F.scaled_dot_product_attention(query, key, value, is_causal=True, **way)
        if self.begun:
            above, parents = self.level.above, self.level.parents[self.begin : self.begin + len(query)]
            assert above is not None  # because begun is not 0
            key = torch.cat([above.keys[layer][parents, :, : self.begun], key], dim=2)
            value = torch.cat([above.values[layer][parents, :, : self.begun], value], dim=2)
        mask = torch.ones(tokens, self.begun + tokens, dtype=torch.bool, device=key.device).tril(self.begun)
        if windowed:
            mask = mask.triu(self.begun - window + 1)
        if plain:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, **way)
        return _attention(query, key, value, mask, scoring)


def _attention(query: Any, key: Any, value: Any, mask: Any, scoring: Scoring) -> Any:
    """What `scaled_dot_product_attention` computes, with a softcap and sinks, which it has not."""
    import torch

    (rows, heads, tokens, size), groups = query.shape, key.shape[1]
    side = query.reshape(rows, groups, -1, tokens, size) * scoring.scale
    scores = scoring.capped(side @ key[:, :, None].transpose(3, 4)).masked_fill_(~mask, float("-inf"))
    if scoring.sinks is not None:
        sinks = scoring.sinks.to(scores).view(groups, -1, 1, 1).expand(*scores.shape[:-1], 1)
        scores = torch.cat([scores, sinks], dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)[..., : key.shape[2]]
    return (weights @ value[:, :, None]).reshape(rows, heads, tokens, -1)


@dataclass
class _Reading:
    """How R rows read a level. Row r reads the sequence `owner[r]`, as number `slot[r]` of its rows (at most `width`)."""

    level: Level
    owner: Any
    slot: Any
    width: int
    padding: Any
    plain: bool  # row r reads sequence r, for all rows and sequences

    @classmethod
    def of(cls, level: Level, owner: Any, padding: Any) -> "_Reading":
        import torch

        rows = torch.arange(len(owner), device=owner.device)
        counts = torch.bincount(owner, minlength=len(level.lengths))
        order = torch.argsort(owner, stable=True)
        slot = torch.empty_like(owner)
        slot[order] = rows - (torch.cumsum(counts, 0) - counts)[owner[order]]
        plain = len(owner) == len(level.lengths) and bool((owner == rows).all())
        return cls(level, owner, slot, int(counts.max()), padding, plain)

    def scores(self, layer: int, query: Any, scoring: Scoring) -> Any:
        """The scores of queries (R, heads, groups, size) and the keys of their sequences: (R, heads, groups, L)."""
        import torch

        key = self.level.keys[layer]
        scores = scoring.capped(torch.matmul(self._side_by_side(query), key.transpose(2, 3)))
        if self.padding is not None:
            scores = scores.masked_fill_(self.padding, float("-inf"))
        return self._apart(scores, query.shape[2])

    def weighted(self, layer: int, weights: Any) -> Any:
        """Sums of the values of each row's sequence, by weights (R, heads, groups, L): (R, heads, groups, size)."""
        import torch

        value = self.level.values[layer]
        return self._apart(torch.matmul(self._side_by_side(weights), value), weights.shape[2])

    def _side_by_side(self, rows: Any) -> Any:
        """(R, heads, groups, x) -> (N, heads, width * groups, x): a sequence's rows together, so that they read it once."""
        if self.plain:
            return rows
        _, heads, groups, last = rows.shape
        side = rows.new_zeros(len(self.level.lengths), self.width, heads, groups, last)
        side[self.owner, self.slot] = rows
        return side.transpose(1, 2).reshape(-1, heads, self.width * groups, last)

    def _apart(self, side: Any, groups: int) -> Any:
        """The inverse of `_side_by_side`."""
        if self.plain:
            return side
        sequences, heads, _, last = side.shape
        return side.view(sequences, heads, self.width, groups, last).transpose(1, 2)[self.owner, self.slot]


class Rows:
    """The cache of R rows that are decoded. Row r continues the sequence `owner[r]` of the level."""

    is_compileable = False

    def __init__(self, level: Level, owner: Any) -> None:
        self.level = level
        self.keys: dict[int, Any] = {}
        self.values: dict[int, Any] = {}
        self._paddings: list[Any] = []
        above: Level | None = level
        while above:
            self._paddings.append(above.padding())
            above = above.above
        self._read(owner)

    def _read(self, owner: Any) -> None:
        self.owner = owner
        self._outside: dict[tuple[int, int], list[Any]] = {}  # by window and number of own tokens
        self._readings: list[_Reading] = []
        level = self.level
        for padding in self._paddings:  # one per level, the last level first
            self._readings.append(_Reading.of(level, owner, padding))
            if level.above:
                owner, level = level.parents[owner], level.above

    def update(self, key: Any, value: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        import torch

        if layer in self.keys:
            key = torch.cat([self.keys[layer], key], dim=2)
            value = torch.cat([self.values[layer], value], dim=2)
        self.keys[layer], self.values[layer] = key, value
        return key, value

    def get_seq_length(self, layer: int = 0) -> int:
        return self.keys[layer].shape[2] if layer in self.keys else 0

    def branch(self, parents: Any) -> None:
        """Replace the rows by R' new ones, which continue the rows `parents` (R',).

        Sequences that no row reads any more are freed when they are at least half of the level.
        """
        import torch

        if len(parents) != len(self.owner) or not torch.equal(
            parents, torch.arange(len(parents), device=parents.device)
        ):
            self.keys = {layer: k.index_select(0, parents) for layer, k in self.keys.items()}
            self.values = {layer: v.index_select(0, parents) for layer, v in self.values.items()}
            owner = self.owner[parents]
            read = torch.unique(owner)
            if 2 * len(read) <= len(self.level.lengths):
                self.level, owner = self.level.select(read), torch.searchsorted(read, owner)
                self._paddings[0] = self.level.padding()
            self._read(owner)

    def attend(self, layer: int, query: Any, key: Any, value: Any, scoring: Scoring) -> Any:
        """Attention of the rows' last token (R, heads * groups, 1, size) to their sequences and their own tokens."""
        import torch

        rows, heads, own, size = key.shape
        grouped = query.reshape(rows, heads, -1, size) * scoring.scale  # (R, heads, groups, size)
        scores = [reading.scores(layer, grouped, scoring) for reading in self._readings]
        scores.append(scoring.capped(grouped @ key.transpose(2, 3)))
        if scoring.window:
            for score, outside in zip(scores, self._before(scoring.window, own), strict=False):
                score.masked_fill_(outside, float("-inf"))
        if scoring.sinks is not None:
            scores.append(scoring.sinks.to(grouped).view(heads, -1, 1).expand(*grouped.shape[:-1], 1))
        weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1, dtype=torch.float32).to(query.dtype)
        parts = weights.split([score.shape[-1] for score in scores], dim=-1)
        out = parts[len(self._readings)] @ value
        for reading, part in zip(self._readings, parts, strict=False):
            out += reading.weighted(layer, part)
        return out.reshape(*query.shape[:-1], -1)

    def _before(self, window: int, own: int) -> list[Any]:
        """Which tokens lie before the windows of the rows' last tokens; each row has `own` tokens of its own.

        Booleans that broadcast to (R, heads, groups, L) of each reading, and of the own tokens; none if windows reach all.
        """
        import torch

        if (window, own) not in self._outside:
            device, last = self.owner.device, self._readings[0]
            # The window's first position; the last token's is the number of all tokens less one.
            first = (last.level.begun() + last.level.lengths)[last.owner] + own - window
            found = []
            if bool((first > 0).any()):
                for reading in self._readings:
                    places = torch.arange(reading.level.longest, device=device)
                    found.append((places < (first - reading.level.begun()[reading.owner])[:, None])[:, None, None])
                found.append(torch.arange(own, device=device) < own - window)
            self._outside[window, own] = found
        return self._outside[window, own]


class LastToken(Rows):
    """The cache of the last layer at the last token of a prefill. The level already holds this token's keys and values."""

    def update(self, key: Any, value: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        return key[:, :, :0], value[:, :, :0]


def install(model: Any) -> None:
    """Make the model use the attention of the cache that it is given as `tree`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attend)
    model.set_attn_implementation(ATTENTION)


def _attend(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
    scoring = Scoring(options["scaling"], options.get("sliding_window"), options.get("softcap"), options.get("s_aux"))
    out = options["tree"].attend(module.layer_idx, query, key, value, scoring)
    return out.transpose(1, 2), None
