"""A tokenizer's own chat template. It writes questions and answers as a conversation, the same on every day."""

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any, Protocol

from gradual.ground.errors import InputError

DATE = datetime(2024, 7, 26)  # what templates hear when they ask for the date; Llama 3.1's names it where it hears none
DIRECTIVES = [f"%{sign}{letter}" for sign in ("-", "") for letter in "aAbBcdHIjmMpSUwWxXyYZ"]
SECONDS = 10  # that a template may take for the first conversation
CHARACTERS = 100_000  # that it may write for it
FIRST = (("What is one and one?", "Two"), ("What is two and two?", "Four"))


class _Turn(Protocol):
    @property
    def question(self) -> str: ...

    @property
    def answer(self) -> str: ...


class ChatTemplate:
    """The chat template of a tokenizer, with the arguments that a study gives it, such as `enable_thinking`.

    The template writes the special tokens itself, so its text must be tokenized without adding them again. Raises
    InputError for a tokenizer without a template, and for a template that fails, never ends, or leaves out a message.
    """

    def __init__(self, tokenizer: Any, arguments: Mapping[str, Any]) -> None:
        self.tokenizer, self.file = tokenizer, str(tokenizer.name_or_path)
        self.arguments = {"date_string": DATE.strftime("%d %b %Y"), **arguments}
        if not tokenizer.chat_template:
            raise InputError(self.file, "has no chat template", "an instruction-tuned model's tokenizer")
        self.template = _fixed_date() + tokenizer.get_chat_template()
        self._check()

    def prompt(self, exemplars: Sequence[_Turn], question: str) -> str:
        """The conversation of the exemplars and the question, up to where the model answers."""
        turns = [(e.question, e.answer) for e in exemplars]
        return self._render([*self._messages(turns), {"role": "user", "content": question}], asks=True)

    def answer(self, answer: str) -> str:
        """The answer itself."""
        return answer

    def completion(self, question: str, answer: str) -> str:
        """What the conversation with the answer has after the prompt. Raises InputError where it begins otherwise."""
        prompt, text = self.prompt([], question), self._render(self._messages([(question, answer)]), asks=False)
        if not text.startswith(prompt):
            problem = "has a chat template in which an answer does not follow the prompt that asks for it"
            raise InputError(self.file, problem, "a template that writes the same prompt with and without an answer")
        return text[len(prompt) :]

    def _messages(self, turns: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
        roles = ("user", "assistant")
        return [{"role": role, "content": text} for turn in turns for role, text in zip(roles, turn, strict=True)]

    def _render(self, messages: list[dict[str, str]], asks: bool) -> str:
        try:
            return self.tokenizer.apply_chat_template(
                messages, chat_template=self.template, tokenize=False, add_generation_prompt=asks, **self.arguments
            )
        except Exception as error:  # a template is a program, and may raise any error
            problem = f"has a chat template that fails ({' '.join(str(error).split())})"
            expected = (
                "a template for messages of user and assistant, and arguments (probe.template_arguments) that fit"
            )
            raise InputError(self.file, problem, expected) from error

    def _check(self) -> None:
        """Write a short conversation. Raises InputError where the template fails, takes too long or leaves a text out."""
        ending = f"a template that ends within {SECONDS} s and {CHARACTERS:,} characters"
        (question, _), *_ = FIRST
        messages = [*self._messages(FIRST), {"role": "user", "content": question}]
        try:
            with _time_limit(SECONDS):
                text = self._render(messages, asks=True)
        except InputError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise InputError(self.file, "has a chat template that does not end", ending) from error
            raise
        if len(text) > CHARACTERS:
            raise InputError(self.file, f"has a chat template that writes {len(text):,} characters", ending)
        place = 0
        for message in messages:
            place = text.find(message["content"], place)
            if place < 0:
                problem = f"has a chat template that leaves out {message['content']!r}"
                raise InputError(self.file, problem, "a template that writes all messages in their order")


def _fixed_date() -> str:
    """The beginning of a template in which its function strftime_now knows one date only."""
    told = "".join(f" | replace('{directive}', '{DATE.strftime(directive)}')" for directive in DIRECTIVES)
    return f"{{% macro strftime_now(format) %}}{{{{ format{told} }}}}{{% endmacro %}}\n"


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread after so many seconds."""

    def end(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
