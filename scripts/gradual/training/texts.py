"""The texts of training examples, and their tokens with labels."""

from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.probe.prompts import adds_special_tokens, renderer

IGNORED = -100  # the label of tokens without loss

Row = dict[str, list[int]]


def texts(examples: pd.DataFrame, tokenizer: Any, style: str) -> list[tuple[str, str]]:
    """The text of each example as (prompt, completion).

    The prompt is the probe's prompt without exemplars. The completion is the answer. With format "chat", raises InputError
    if the tokenizer has no chat template, or if the template puts another text than this prompt before an answer.
    """
    render, found = renderer(style, tokenizer), []
    for question, answer in zip(examples["question"], examples["answer"], strict=True):
        prompt = render([], question)
        if style != "chat":
            found.append((prompt, f" {answer}\n"))
            continue
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        if not text.startswith(prompt):
            problem = "has a chat template in which an answer does not follow the prompt that asks for it"
            raise InputError(
                str(tokenizer.name_or_path),
                problem,
                "a template that writes the same prompt with and without an answer",
            )
        found.append((prompt, text[len(prompt) :]))
    return found


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
