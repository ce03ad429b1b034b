"""The normal form of texts, in which outputs are compared with gold answers, and questions with questions.

Datasets hold texts that look equal and are not: with no-break or doubled spaces, characters without width, or accents as
characters of their own. A model seldom writes these, so a comparison of the texts as they are would never find them equal.
"""

import re
import unicodedata

# Characters without width that have no category of their own: the grapheme joiner and the variation selectors.
_JOINERS = "\u034f" + "".join(map(chr, range(0xFE00, 0xFE10)))
_END_OF_QUESTION = re.compile(r"[\s?!.。]+$")


def normal_form(text: str) -> str:
    """The text in NFKC, without characters that have no width, and with single spaces for all white space."""
    if not text.isascii():
        seen = (c for c in text if unicodedata.category(c) != "Cf" and c not in _JOINERS)
        text = unicodedata.normalize("NFKC", "".join(seen))
    return " ".join(text.split())


def folded(text: str) -> str:
    """The normal form without a difference of case."""
    return normal_form(normal_form(text).casefold())


def question_key(question: str) -> str:
    """The same text for questions that differ only in case, in spaces, or in the punctuation at their end."""
    key = folded(question)
    return _END_OF_QUESTION.sub("", key) or key
