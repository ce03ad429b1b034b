"""The key-value cache of prompts and answers as a tree, so that what rows share is stored and read once.

A `Level` holds sequences of tokens. One level has the prefixes that prompts share, and the level below it has the rest of
each prompt. `Rows` are the answers that are being decoded; each row continues a sequence of the last level. Sequences of
different lengths are padded on the right.
"""

from dataclasses import dataclass
from typing import Any

from gradual.ground.errors import InputError

ATTENTION = "tree"
ARCHITECTURES = ("llama", "qwen2")  # plain causal attention, as computed here; each is compared with generate


@dataclass
class Level:
    """Keys and values of N sequences: tensors (N, heads, L, size), one per layer; `lengths` (N,) do not count padding.

    If there is a level `above`, sequence i continues its sequence `parents[i]`.
    """

    keys: list[Any]
    values: list[Any]
    lengths: Any
    above: "Level | None" = None
    parents: Any = None

    @classmethod
    def empty(cls, model: Any, lengths: Any, above: "Level | None" = None, parents: Any = None) -> "Level":
        """A level to be filled, for sequences of these lengths."""
        import torch

        config = model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (len(lengths), config.num_key_value_heads, int(lengths.max()), size)
        layers, place = range(config.num_hidden_layers), {"dtype": model.dtype, "device": model.device}
        keys, values = ([torch.empty(shape, **place) for _ in layers] for _ in range(2))
        for value in values:  # the weight of padding is zero, but zero times NaN is NaN
            value[:, :, int(lengths.min()) :] = 0
        return cls(keys, values, lengths, above, parents)

    def select(self, index: Any) -> "Level":
        """A copy of the sequences at these places."""
        keys, values = ([t.index_select(0, index) for t in tensors] for tensors in (self.keys, self.values))
        parents = None if self.parents is None else self.parents[index]
        return Level(keys, values, self.lengths[index], self.above, parents)

    def part(self, begin: int, end: int, length: int) -> "Level":
        """A view of the sequences from `begin` to `end`, up to a length."""
        keys, values = ([t[begin:end, :, :length] for t in tensors] for tensors in (self.keys, self.values))
        parents = None if self.parents is None else self.parents[begin:end]
        return Level(keys, values, self.lengths[begin:end], self.above, parents)

    def padding(self) -> Any:
        """Where the sequences are padded, as booleans (N, 1, 1, L); None if none is padded."""
        import torch

        length = self.keys[0].shape[2]
        if bool((self.lengths == length).all()):
            return None
        return (torch.arange(length, device=self.lengths.device) >= self.lengths[:, None])[:, None, None]


class Filling:
    """The cache of a prefill. It records the keys and values of a level's sequences, which continue those above."""

    is_compileable = False

    def __init__(self, level: Level, begun: int = 0) -> None:
        """`begun` is the length of the sequences above, which is the same for all; it is 0 if there are none."""
        self.level, self.begun = level, begun

    def update(self, key: Any, value: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        self.level.keys[layer].copy_(key)
        self.level.values[layer].copy_(value)
        return key, value

    def get_seq_length(self, layer: int = 0) -> int:
        return self.begun

    def attend(self, layer: int, query: Any, key: Any, value: Any, scale: float) -> Any:
        """Causal attention of the sequences' tokens (N, heads, t, size) to the sequences above and to themselves."""
        import torch
        import torch.nn.functional as F

        grouped = query.shape[1] != key.shape[1]
        if not self.begun:
            return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=grouped)
        above, parents, tokens = self.level.above, self.level.parents, query.shape[2]
        assert above is not None  # because begun is not 0
        key = torch.cat([above.keys[layer][parents, :, : self.begun], key], dim=2)
        value = torch.cat([above.values[layer][parents, :, : self.begun], value], dim=2)
        mask = torch.ones(tokens, self.begun + tokens, dtype=torch.bool, device=key.device).tril(self.begun)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale, enable_gqa=grouped)


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

    def scores(self, layer: int, query: Any) -> Any:
        """The products of queries (R, heads, groups, size) with the keys of their sequences: (R, heads, groups, L)."""
        import torch

        key = self.level.keys[layer]
        scores = torch.matmul(self._side_by_side(query), key.transpose(2, 3))
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
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self._paddings: list[Any] = []
        above: Level | None = level
        while above:
            self._paddings.append(above.padding())
            above = above.above
        self._read(owner)

    def _read(self, owner: Any) -> None:
        self.owner = owner
        self._readings: list[_Reading] = []
        level = self.level
        for padding in self._paddings:  # one per level, the last level first
            self._readings.append(_Reading.of(level, owner, padding))
            if level.above:
                owner, level = level.parents[owner], level.above

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
        return self.keys[layer].shape[2] if layer < len(self.keys) else 0

    def branch(self, parents: Any) -> None:
        """Replace the rows by R' new ones, which continue the rows `parents` (R',).

        Sequences that no row reads any more are freed when they are at least half of the level.
        """
        import torch

        if len(parents) != len(self.owner) or not torch.equal(
            parents, torch.arange(len(parents), device=parents.device)
        ):
            self.keys = [k.index_select(0, parents) for k in self.keys]
            self.values = [v.index_select(0, parents) for v in self.values]
            owner = self.owner[parents]
            read = torch.unique(owner)
            if 2 * len(read) <= len(self.level.lengths):
                self.level, owner = self.level.select(read), torch.searchsorted(read, owner)
                self._paddings[0] = self.level.padding()
            self._read(owner)

    def attend(self, layer: int, query: Any, key: Any, value: Any, scale: float) -> Any:
        """Attention of the rows' last t tokens (R, heads * groups, t, size) to their sequences and their own tokens."""
        import torch

        rows, heads, own, size = key.shape
        tokens = query.shape[2]
        grouped = query.reshape(rows, heads, -1, size) * scale  # (R, heads, groups * t, size)
        answer = grouped @ key.transpose(2, 3)
        if tokens > 1:  # no token reads a later one
            later = torch.ones(tokens, own, dtype=torch.bool, device=key.device).triu(own - tokens + 1)
            answer.view(rows, heads, -1, tokens, own).masked_fill_(later, float("-inf"))
        scores = [reading.scores(layer, grouped) for reading in self._readings] + [answer]
        weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1, dtype=torch.float32).to(query.dtype)
        *parts, last = weights.split([score.shape[-1] for score in scores], dim=-1)
        out = last @ value
        for reading, part in zip(self._readings, parts, strict=True):
            out += reading.weighted(layer, part)
        return out.reshape(query.shape)


class LastToken(Rows):
    """The cache of the last layer at the last token of a prefill. The level already holds this token's keys and values."""

    def update(self, key: Any, value: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        return key[:, :, :0], value[:, :, :0]


def install(model: Any) -> None:
    """Make the model use the attention of the cache that it is given as `tree`.

    Raises InputError for a model whose attention is not plain and causal.
    """
    from transformers import AttentionInterface

    check_attention(model.config)
    AttentionInterface.register(ATTENTION, _attend)
    model.set_attn_implementation(ATTENTION)


def _attend(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
    out = options["tree"].attend(module.layer_idx, query, key, value, options["scaling"])
    return out.transpose(1, 2), None


def check_attention(config: Any) -> None:
    """Raise InputError for a model whose attention is not plain and causal, because its answers would be wrong."""
    windows = set(getattr(config, "layer_types", None) or ["full_attention"]) - {"full_attention"}
    if config.model_type not in ARCHITECTURES or windows:
        found = f"a {config.model_type} model" + (f" with {', '.join(sorted(windows))}" if windows else "")
        expected = f"{' or '.join(ARCHITECTURES)} with full attention"
        raise InputError("probe.engine", f"transformers cannot probe {found}", expected, key="models")
