"""Types of questions for datasets without relations, so that the exemplars of a prompt can have the question's type."""

import re

from gradual.ground.errors import InputError

ONE_POOL = "question"
OTHER = "other"
QUESTION_WORDS = {word: word for word in "who what when where which how why".split()} | {"whom": "who", "whose": "who"}


def question_type(question: str, type_from: str | None, file: str, row: int) -> str:
    """The type of a question, as `type_from` declares it. Raises InputError where it declares none.

    With `question_word`, the type is the first word if that is a question word (also with -ever), else "other". With
    `one_pool`, all questions have the same type.
    """
    if type_from == "one_pool":
        return ONE_POOL
    if type_from == "question_word":
        first = re.search(r"[^\W_]+", question)
        return QUESTION_WORDS.get(first.group().casefold().removesuffix("ever") if first else "", OTHER)
    raise InputError(
        file, "a question without a type", "dataset.type_from to be question_word or one_pool", row=row, key="relation"
    )
