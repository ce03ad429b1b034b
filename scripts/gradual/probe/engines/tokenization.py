"""What all engines share: they encode prompts, find the ends of answers, and count answers in the same way."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from gradual.ground.errors import InputError
from gradual.probe.answers import BROKEN, Answer, Answered, Decoding, Prompt, Usage
from gradual.probe.prompts import ending_tokens

KEPT = 2**14  # prompts whose token ids are kept


class Encoder:
    """Turns prompts into token ids. It keeps those of up to KEPT prompts, because each epoch is asked the same ones."""

    def __init__(self, tokenizer: Any, special_tokens: bool) -> None:
        self.tokenizer, self.special_tokens = tokenizer, special_tokens
        self._kept: dict[str, list[int]] = {}

    def __call__(
        self, group: list[Prompt], decoding: Decoding, positions: int, limit: str = "the model's"
    ) -> list[list[int]]:
        """The token ids of a group's prompts; `limit` says in the error whose limit `positions` is.

        Raises InputError for a prompt that needs more than these positions together with its answer.
        """
        texts = [prompt.text for prompt in group]
        if len(self._kept) + len(texts) > KEPT:
            self.forget()
        if new := [text for text in texts if text not in self._kept]:
            found = self.tokenizer(new, add_special_tokens=self.special_tokens)["input_ids"]
            self._kept.update(zip(new, found, strict=True))
        ids = [self._kept[text] for text in texts]
        for prompt, tokens in zip(group, ids, strict=True):
            if len(tokens) + decoding.max_new_tokens > positions:
                problem = f"a prompt of {len(tokens)} tokens and {decoding.max_new_tokens} for the answer"
                expected = (
                    f"at most {limit} {positions} tokens (fewer probe.shots or probe.max_new_tokens, or shorter facts)"
                )
                raise InputError(f"fact {prompt.fact_id}, prompt {prompt.index}", problem, expected)
        return ids

    def forget(self) -> None:
        """Forget all token ids that are kept."""
        self._kept.clear()


class Stopper:
    """Finds the end of an answer, which is any special token or the token that completes a stop string."""

    def __init__(self, tokenizer: Any, decoding: Decoding) -> None:
        self.tokenizer, self.stop = tokenizer, decoding.stop
        self.special = ending_tokens(tokenizer)
        # A token has at least one byte of the text, so a stop string has at most as many tokens as bytes. One more token
        # is looked at, because some decoders drop a space before the first.
        self.longest = max((len(stop.encode()) for stop in decoding.stop), default=0) + 1
        self._ends: dict[int, bool] = {}  # by token: whether it ends an answer, whatever is before it
        self._text = lru_cache(maxsize=2**16)(self._text_of)

    def ended(self, rows: np.ndarray) -> np.ndarray:
        """Whether each answer (rows, tokens) ends at its last token: booleans (rows,). No answer has ended before it."""
        last = rows[:, -1].tolist()
        ended = np.array([self._ends[t] if t in self._ends else self._ends_at(t) for t in last], dtype=bool)
        if self.longest > 2:  # a longer stop string may span tokens
            for row in np.flatnonzero(~ended):
                ended[row] = self._ends_in_stop(rows[row].tolist())
        return ended

    def _ends_at(self, token: int) -> bool:
        self._ends[token] = token in self.special or self._holds_stop([token])
        return self._ends[token]

    def _ends_in_stop(self, tokens: list[int]) -> bool:
        """Whether the last token completes a stop string. Only the last tokens are decoded if they are whole."""
        end = self._decode(tokens[-self.longest :])
        return any(stop in end for stop in self.stop) or (BROKEN in end and self._holds_stop(tokens))

    def _holds_stop(self, tokens: list[int]) -> bool:
        text = self._decode(tokens)
        return any(stop in text for stop in self.stop)

    def answers(self, ends: Mapping[tuple[tuple[int, ...], str], int]) -> list[Answer]:
        """The distinct answers; `ends` counts each by its tokens, with the stopping one, and its finish."""
        return [Answer(self._text(row), len(row), finish, count) for (row, finish), count in sorted(ends.items())]

    def _text_of(self, row: tuple[int, ...]) -> str:
        text = self._decode(row)
        cut = min((at for s in self.stop if (at := text.find(s)) >= 0), default=len(text))
        return text[:cut].strip()

    def _decode(self, row: Sequence[int]) -> str:
        return self.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def count_answers(usage: Usage, answered: Iterable[Answered]) -> None:
    """Add a group's answers to the usage of an engine."""
    for a in answered:
        usage.prompts += 1
        for answer in (a.greedy, *a.sampled):
            usage.answer_tokens += answer.tokens * answer.count
            usage.cut_off += answer.count * (answer.finish == "length")


def short_of_memory(error: Exception) -> InputError:
    """The error of an engine that is out of memory again after its limits were made smaller."""
    cause = " ".join(str(error).split())
    expected = (
        "a GPU with more free memory, more GPUs for an engine that splits the model (resources gpu), "
        "fewer probe.shots, or a smaller model"
    )
    return InputError("probe.engine", f"is out of memory, with smaller limits too ({cause})", expected)
