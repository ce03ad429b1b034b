"""Texts as one sequence, in which the beginning that they share stands once.

The samples of a question follow the same prompt as its target. So one forward pass over the prompt serves them all. Each
text sees the beginning and itself, and its tokens have the positions that they have in the text alone. So the numbers are
those of the texts one by one, except for rounding, and for dropout, which the beginning has once for all texts.
"""

from collections.abc import Sequence
from typing import Any

from gradual.models import logit_rounding
from gradual.training.texts import IGNORED, Row

SHARED, PADDING = -1, -2  # in the place of a text's number
NONE = -1  # in the place of a token's place


def joined(texts: Sequence[Row]) -> Row:
    """Texts as one sequence: their common beginning without labels, and then the rest of one after the other.

    Of each token it has the label, the number of its text (SHARED in the beginning), its position in the text, and in
    `before` the place of the token before it in the text (NONE for a first one).
    """
    beginning = _shared(texts)
    places = range(beginning)
    row: Row = {
        "input_ids": list(texts[0]["input_ids"][:beginning]),
        "labels": [IGNORED] * beginning,
        "text": [SHARED] * beginning,
        "positions": list(places),
        "before": [place - 1 if place else NONE for place in places],
    }
    for number, text in enumerate(texts):
        start, rest = len(row["input_ids"]), len(text["input_ids"]) - beginning
        row["input_ids"] += text["input_ids"][beginning:]
        row["labels"] += text["labels"][beginning:]
        row["text"] += [number] * rest
        row["positions"] += range(beginning, beginning + rest)
        row["before"] += [beginning - 1, *range(start, start + rest - 1)][:rest]
    return row


def _shared(texts: Sequence[Row]) -> int:
    """How many tokens all texts begin with, none of which has a label."""
    for place, tokens in enumerate(zip(*(text["input_ids"] for text in texts), strict=False)):
        if len(set(tokens)) > 1 or any(text["labels"][place] != IGNORED for text in texts):
            return place
    return min(len(text["input_ids"]) for text in texts)


def attention_mask(text: Any) -> Any:
    """What is added to attention's scores: 0 where a token sees another, and else a huge negative number.

    `text` has the numbers of the tokens' texts, of shape (rows, tokens). The mask has the shape (rows, 1, tokens, tokens).
    """
    import torch

    seen = ((text[:, None, :] == text[:, :, None]) | (text[:, None, :] == SHARED)).tril()
    hidden = torch.finfo(torch.float32).min
    return torch.zeros(seen.shape, device=text.device).masked_fill(~seen, hidden)[:, None]


def difference(model: Any, row: Row) -> float:
    """The largest difference between the logits of joined texts and those of each alone, as a share of the largest one."""
    import torch

    def tensor(values: list[int]) -> Any:
        return torch.tensor([values], device=model.device)

    training, text = model.training, tensor(row["text"])
    model.eval()
    found, own = [], []
    with torch.inference_mode():
        together = model(
            input_ids=tensor(row["input_ids"]),
            attention_mask=attention_mask(text),
            position_ids=tensor(row["positions"]),
        ).logits[0]
        for number in range(max(row["text"], default=SHARED) + 1):
            places = [place for place, of in enumerate(row["text"]) if of in (number, SHARED)]
            found.append(together[places])
            own.append(model(input_ids=tensor([row["input_ids"][place] for place in places])).logits[0])
    model.train(training)
    return logit_rounding.difference(torch.cat(found), torch.cat(own))
