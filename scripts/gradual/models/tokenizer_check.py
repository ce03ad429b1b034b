"""Whether a tokenizer is the one that a model was trained with: that of the file tokenizer.json beside the weights."""

from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError

# Texts of many kinds. They differ in what a normaliser, a pre-tokenizer or a post-processor may change.
TEXTS = (
    "",
    " ",
    "14",
    " 14",
    "In 1999, 1,234,567.89 of 14 m² were sold for $5 (or 3/4)",
    "two  spaces,   three spaces ",
    "\ta tab\nlines\n\n   and\r\nmore\n",
    "I'll say it's HER'S, they'D'VE",
    "caf\u00e9 and cafe\u0301, \u00c5ngstr\u00f6m and A\u030angstro\u0308m",
    "\u0130stanbul, stra\u00dfe, \ufb01n, \u00bd, \u2460, \uff21\uff22",
    "中文字符，日本語のテキスト。한국어 문장 ภาษาไทย",
    "اللغة العربية, עברית, हिन्दी भाषा, Ελληνικά, русский язык",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 :-)",
    "no\u00a0break, zero\u200bwidth, \u200eleft, \ufeffmark, \u3000wide",
    "def f(x):\n    return x[0] != 'a'  # {x}: \\n <b>&amp;</b>",
    "https://example.org/a_b?c=d%20e#f, CamelCase_snake-case",
    "Q: What is this?\nA: That\nQ: And this?\nA:",
    "\x00 \x7f \ud7ff \U0010ffff",
)


def check_tokenizer(tokenizer: Any, file: Path) -> None:
    """Raise InputError unless the tokenizer has the added tokens of a tokenizer.json, and encodes and decodes as it does.

    The texts are TEXTS and one that has all added tokens, each with and without special tokens.
    """
    from tokenizers import Tokenizer

    own = Tokenizer.from_file(str(file))
    own.no_truncation()
    own.no_padding()
    added = {token.content for token in own.get_added_tokens_decoder().values()}
    if others := sorted(added.symmetric_difference(tokenizer.added_tokens_encoder)):
        problem = f"differs from the files beside it in the added tokens {', '.join(map(repr, others[:5]))}"
        raise InputError(file, problem, "all special tokens of the files beside it", key="added_tokens")
    for text in (*TEXTS, "".join(f"{token} a{token}b {token}" for token in sorted(added))):
        for special in (True, False):
            ids = own.encode(text, add_special_tokens=special).ids
            expected = ids, own.decode(ids, skip_special_tokens=False)
            loaded = tokenizer.encode(text, add_special_tokens=special)
            if (loaded, tokenizer.decode(ids, clean_up_tokenization_spaces=False)) != expected:
                problem = f"makes {ids} of {text!r}, but the files beside it change this to {loaded}, or its decoding"
                raise InputError(file, problem, "files that agree (tokenizer_config.json)")
