"""Whether the engine computes a model as the model computes itself. It is checked when the engine is loaded.

The engine replaces a model's attention, so it must do all that the model's own attention does. Some kinds of models are
refused by name. Of all others but the proved ones (`prefill`), the logits after a few made-up prompts and continuations are
compared with those of the model's own forward. Answers would not do, because attention that is slightly wrong gives other
logits long before it gives other answers.
"""

from typing import Any

import numpy as np

from gradual.ground.errors import InputError, out_of_memory
from gradual.models import logit_rounding
from gradual.probe.answers import GREEDY_ANSWERS, Decoding
from gradual.probe.engines.double import in_double
from gradual.probe.engines.kv_tree import ATTENTION, install
from gradual.probe.engines.prefill import proved
from gradual.probe.engines.tokenization import Stopper
from gradual.probe.engines.wave import Group, Limits, Task, Wave

LAYERS = {"full_attention", "sliding_attention"}  # kinds of layers that the tree computes, as configs name them
SHARED = 40  # tokens of the prefix that two of the prompts share
REACH = 512  # tokens of the longest window that the prompts outgrow
STEPS, CONTINUATIONS = 3, 2  # tokens of a continuation of a prompt, and their number


def install_checked(model: Any, tokenizer: Any) -> None:
    """Make the model use the tree's attention.

    Raises InputError for a model that the engine does not compute as the model's own forward does.
    """
    if reason := refusal(model):
        raise _refused(model, reason)
    install(model)
    if proved(model.config):
        return
    try:
        found = difference(model, tokenizer)
    except Exception as error:  # each architecture raises its own
        if out_of_memory(error):
            raise
        cause = " ".join(str(error).split()) or type(error).__name__
        raise _refused(model, f"it cannot use another attention and cache ({cause})") from error
    if problem := logit_rounding.exceeds(found, model):
        raise _refused(model, problem)


def refusal(model: Any) -> str | None:
    """Why the tree cannot compute a model of this kind; None if nothing in its class and config speaks against it."""
    config = model.config.get_text_config()
    others = {*(getattr(config, "layer_types", None) or ())} - LAYERS
    window = getattr(config, "sliding_window", None) or 0
    if model.config.is_encoder_decoder:
        return "it has an encoder"
    if model._is_stateful or others:
        return f"some of its layers are not plain attention ({', '.join(sorted(others)) or 'but recurrent'})"
    if getattr(config, "num_kv_shared_layers", 0):
        return "some of its layers share their keys and values"
    if any(getattr(module, "is_causal", True) is False for module in model.modules()):
        return "its attention is not causal"
    if not model._can_set_attn_implementation():
        return "its attention cannot be replaced"
    if window > REACH and not model._supports_flash_attn:  # flash attention too is told the window
        return f"it does not tell its attention the window of {window} tokens"
    return None


def difference(model: Any, tokenizer: Any) -> float:
    """The largest difference between the tree's logits and those of the model's own forward, as a share of the largest.

    Those that the tree computes in double precision are compared, too.
    """
    import torch

    ids = _prompts(model.config.get_text_config(), tokenizer)
    said = np.array([[prompt[i : i + STEPS] for i in range(CONTINUATIONS)] for prompt in ids])
    task = Task(Decoding(STEPS, ()), GREEDY_ANSWERS, Stopper(tokenizer, Decoding(STEPS, ())))
    limits = Limits(2 * (SHARED + REACH), 2**18)
    trees = [Wave(model, [Group([], ids)], task, limits).forced(said)]
    if model.dtype == torch.float32:
        with in_double():
            trees.append(Wave(model, [Group([], ids)], task, limits).forced(said))
    model.set_attn_implementation("eager")
    try:
        own = torch.stack(
            [_own(model, prompt, rest) for prompt, rests in zip(ids, said, strict=True) for rest in rests]
        )
    finally:
        model.set_attn_implementation(ATTENTION)
    return float(np.max([logit_rounding.difference(tree.flatten(0, 1), own) for tree in trees]))


def _prompts(config: Any, tokenizer: Any) -> list[list[int]]:
    """The token ids of made-up prompts of different lengths. Two share a prefix; some are longer than a short window."""
    usual = np.array(sorted({*range(len(tokenizer))} - {*tokenizer.added_tokens_decoder}))
    rng = np.random.default_rng(0)
    window = getattr(config, "sliding_window", None) or 0
    long = max(SHARED, window + 8) if window <= REACH else SHARED
    shared, *others = (rng.choice(usual, size).tolist() for size in (long, 3, 17, 9, long))
    prompts = [shared + others[0], shared + others[1], *others[2:]]
    return [prompt[: config.max_position_embeddings - STEPS] for prompt in prompts]


def _own(model: Any, prompt: list[int], said: np.ndarray) -> Any:
    """The logits (1 + t, vocabulary) of the model's own forward, after a prompt and after each of the t tokens `said`."""
    import torch

    tokens = torch.tensor([[*prompt, *said.tolist()]], device=model.device)
    with torch.inference_mode():
        return model(input_ids=tokens, use_cache=False, logits_to_keep=1 + len(said)).logits[0]


def _refused(model: Any, reason: str) -> InputError:
    expected = "a model that it computes as the model's own forward does, or probe.engine: vllm"
    return InputError(
        "probe.engine", f"transformers cannot probe a {model.config.model_type} model: {reason}", expected, key="models"
    )
