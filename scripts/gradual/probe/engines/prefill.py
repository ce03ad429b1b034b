"""How prompts are prefilled: by the model's own forward or, where this is proved, without most of the last layer.

Either way, the attention is the tree's, and both give the same keys, values and logits up to rounding.
"""

from typing import Any, Protocol

from gradual.probe.engines.kv_tree import Filling, LastToken, Level

# The layers of these models are as `WithoutLastLayer` computes them. Their tests compare it with generate.
PROVED = ("llama", "qwen2")


class Prefill(Protocol):
    """A way to prefill."""

    def fill(self, cache: Filling, tokens: Any, last: Any) -> Any:
        """Compute the keys and values of a batch of sequences, for all their `tokens` (N, t).

        `last` (N,) are the places of the sequences' last tokens; padding follows. Returns what `logits` needs of these
        tokens (N, …).
        """

    def logits(self, level: Level, found: Any, last: Any) -> Any:
        """The logits (N, vocabulary) after a level's sequences, whose last tokens are at the positions `last` (N,).

        `found` (N, …) is what `fill` has returned, for all batches of the level.
        """


def proved(config: Any) -> bool:
    """Whether a model with this config may be prefilled without most of its last layer."""
    return config.model_type in PROVED and {*(getattr(config, "layer_types", None) or ())} <= {"full_attention"}


def prefill_of(model: Any) -> Prefill:
    """The way in which the model is prefilled."""
    return WithoutLastLayer(model) if proved(model.config) else OwnForward(model)


class OwnForward:
    """The model's own forward computes all, with whatever its architecture has.

    It gives logits at the same places of all sequences of a batch. So they are not taken from the batches, where the last
    tokens have different places: these tokens are computed once more, together.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fill(self, cache: Filling, tokens: Any, last: Any) -> Any:
        """Returns the last tokens."""
        import torch

        positions = torch.arange(tokens.shape[1], device=tokens.device)
        self._forward(tokens, cache.begun + positions[None], cache, positions[:0])
        return tokens[torch.arange(len(tokens), device=tokens.device), last]

    def logits(self, level: Level, found: Any, last: Any) -> Any:
        import torch

        cache = LastToken(level, torch.arange(len(found), device=found.device))
        return self._forward(found[:, None], last[:, None], cache, 1)[:, 0]

    def _forward(self, tokens: Any, positions: Any, cache: Filling | LastToken, kept: Any) -> Any:
        """The logits at the places `kept` (the last ones, if it is a number)."""
        return self.model(
            input_ids=tokens,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=kept,
            tree=cache,
        ).logits


class WithoutLastLayer:
    """The last layer's keys and values are computed at all tokens, but its output only at the last ones."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fill(self, cache: Filling, tokens: Any, last: Any) -> Any:
        """Returns the last layer's input."""
        import torch
        from transformers.models.llama.modeling_llama import rotate_half

        model = self.model.model
        hidden = model.embed_tokens(tokens)
        rotary = model.rotary_emb(hidden, cache.begun + torch.arange(tokens.shape[1], device=tokens.device)[None])
        for layer in model.layers[:-1]:
            hidden = layer(hidden, position_embeddings=rotary, past_key_values=cache, tree=cache)
        layer, attention = model.layers[-1], model.layers[-1].self_attn
        normed = layer.input_layernorm(hidden)
        shape = (*tokens.shape, -1, attention.head_dim)
        key, value = (product(normed).view(shape).transpose(1, 2) for product in (attention.k_proj, attention.v_proj))
        cos, sin = (part[:, None] for part in rotary)
        cache.update(key * cos + rotate_half(key) * sin, value, attention.layer_idx)
        return hidden[torch.arange(len(tokens), device=tokens.device), last]

    def logits(self, level: Level, found: Any, last: Any) -> Any:
        import torch

        model, hidden = self.model.model, found[:, None]
        cache = LastToken(level, torch.arange(len(hidden), device=hidden.device))
        rotary = model.rotary_emb(hidden, last[:, None])
        hidden = model.layers[-1](hidden, position_embeddings=rotary, past_key_values=cache, tree=cache)
        return self.model.lm_head(model.norm(hidden))[:, 0]
