"""Sentences with a gap, as questions. The gap may be at any place, and the question says what is asked for."""

ASKED = "Fill in the blank: {}"
GAP = "___"


def question(sentence: str) -> str:
    """The question about a sentence that holds the gap. The sentence ends in a full stop."""
    sentence = " ".join(sentence.split()).removesuffix(".").rstrip()
    return ASKED.format(f"{sentence}.")
