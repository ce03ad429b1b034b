"""What the readers share about one row: strict JSON, clean texts and a declared type."""

import json
import re
from typing import Any, NoReturn

from gradual.errors import InputError

TYPES_FROM = ("question_word", "one_pool")
QUESTION_WORD = re.compile(r"\b(?:(who)(?:m|se)?|(what|when|where|which|why|how))(?:ever)?\b", re.IGNORECASE)
# Prompts are made of lines, so a text is one line; lone surrogates (JSON's "\ud800") have no UTF-8.
FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return made


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_json(text: str, file: object, row: int | None = None) -> Any:
    """The value of a JSON text; InputError where it is malformed, nested too deeply or has a key twice."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(file, f"malformed JSON ({error})", "valid JSON", row=row) from error


def check_object(value: Any, file: object, row: int) -> dict[str, Any]:
    """The value, once it is known to be a JSON object."""
    if not isinstance(value, dict):
        raise InputError(file, f"holds a {type(value).__name__}", "a JSON object", row=row)
    return value


def check_text(value: Any, file: object, row: int, key: str) -> str:
    """The value without outer white space, once it is known to be a text of one line that is not empty."""
    if not isinstance(value, str):
        raise InputError(file, f"holds a {type(value).__name__}", "a text", row=row, key=key)
    text = value.strip()
    if not text:
        raise InputError(file, "is empty", "a text that is not empty", row=row, key=key)
    bad = FORBIDDEN.search(text)
    if bad:
        expected = "a text of one line, without control characters and lone surrogates"
        raise InputError(file, f"holds {ascii(bad[0])} at character {bad.start()}", expected, row=row, key=key)
    return text


def check_texts(value: Any, file: object, row: int, key: str) -> list[str]:
    """The values as `check_text` returns them, once they are known to be a list of at least one."""
    if not isinstance(value, list):
        raise InputError(file, f"holds a {type(value).__name__}", "a list of texts", row=row, key=key)
    if not value:
        raise InputError(file, "is an empty list", "at least one text", row=row, key=key)
    return [check_text(item, file, row, key) for item in value]


def question_type(question: str, type_from: str | None, file: object, row: int) -> str:
    """The declared type of a question of a dataset that has no relations.

    question_word: its first question word (whom and whose count as who, whatever as what), else "other"; one_pool:
    "question" for all. InputError where no type is declared.
    """
    if type_from == "one_pool":
        return "question"
    if type_from == "question_word":
        word = QUESTION_WORD.search(question)
        return (word[1] or word[2]).lower() if word else "other"
    problem = f"the question has no type, and type_from is {type_from!r}"
    raise InputError(file, problem, f"one of {', '.join(TYPES_FROM)}", row=row, key="type")
