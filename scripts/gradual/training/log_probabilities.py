"""The log-probability that a model gives to the tokens of an answer."""

from collections.abc import Sequence
from typing import Any

from gradual.training.texts import IGNORED, Row

TOGETHER = 2048  # padded tokens that go through the model at once, because their logits need memory


def token_log_probabilities(logits: Any, labels: Any) -> Any:
    """The log-probability of each next token, of shape (sequences, tokens - 1); 0 where the label is IGNORED.

    `logits` has the shape (sequences, tokens, vocabulary), and `labels` (sequences, tokens).
    """
    from torch.nn.functional import cross_entropy

    vocabulary, wanted = logits.shape[-1], labels[:, 1:]
    flat = logits[:, :-1].float().reshape(-1, vocabulary)
    return -cross_entropy(flat, wanted.reshape(-1), ignore_index=IGNORED, reduction="none").view(wanted.shape)


def means(values: Any, labels: Any) -> tuple[Any, Any]:
    """The mean of each sequence over its tokens with a label, and their number. The mean of no token is 0."""
    count = (labels[:, 1:] != IGNORED).sum(1)
    return values.sum(1) / count.clamp(min=1), count


def mean_log_probabilities(model: Any, sequences: Sequence[Row]) -> list[tuple[float, int]]:
    """The mean log-probability per labelled token of each sequence under a model, and the number of these tokens."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    order = sorted(range(len(sequences)), key=lambda place: len(sequences[place]["input_ids"]))
    found: dict[int, tuple[float, int]] = {}
    with torch.inference_mode():
        while order:
            size = max(1, TOGETHER // len(sequences[order[-1]]["input_ids"]))  # the longest that are left
            places, order = order[-size:], order[:-size]
            batch = [sequences[place] for place in places]
            tokens = [torch.tensor(sequence["input_ids"]) for sequence in batch]
            wanted_labels = [torch.tensor(sequence["labels"]) for sequence in batch]
            ids, mask = pad_sequence(tokens, True), pad_sequence([torch.ones_like(i) for i in tokens], True)
            labels = pad_sequence(wanted_labels, True, IGNORED).to(model.device)
            logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
            mean, count = means(token_log_probabilities(logits, labels), labels)
            found |= dict(zip(places, zip(mean.tolist(), count.tolist(), strict=True), strict=True))
    return [found[place] for place in range(len(sequences))]
