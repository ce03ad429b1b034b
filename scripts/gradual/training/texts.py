"""The texts of training examples, and their tokens with labels."""

from typing import Any

import pandas as pd

from gradual.probe.prompts import PromptFormat, adds_special_tokens

IGNORED = -100  # the label of tokens without loss

Row = dict[str, Any]  # the lists input_ids and labels, and what an objective adds


def texts(examples: pd.DataFrame, written: PromptFormat) -> list[tuple[str, str]]:
    """The text of each example as (prompt, completion).

    The prompt is the probe's prompt without exemplars. The completion is the answer. Raises InputError for a chat template
    that puts another text than this prompt before an answer.
    """
    asked = zip(examples["question"], examples["answer"], strict=True)
    return [(written.prompt([], question), written.completion(question, answer)) for question, answer in asked]


def tokenize(prompt: str, completion: str, tokenizer: Any, style: str, loss_on: str) -> Row:
    """Token ids and labels of a text.

    With `loss_on` "answer", the prompt's tokens have no loss. With "text", all tokens have a loss, as in GL's code.
    """
    encoded = tokenizer(prompt + completion, add_special_tokens=adds_special_tokens(style), return_offsets_mapping=True)
    ids, starts = encoded["input_ids"], [start for start, _ in encoded["offset_mapping"]]
    counted = [loss_on == "text" or start >= len(prompt) for start in starts]
    return {
        "input_ids": ids,
        "labels": [token if counts else IGNORED for token, counts in zip(ids, counted, strict=True)],
    }
