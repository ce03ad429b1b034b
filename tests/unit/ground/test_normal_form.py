"""Texts that look equal have one normal form, and others keep theirs apart."""

import unicodedata

import pytest

from gradual.ground.normal_form import folded, normal_form, question_key

INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060", "\ufeff", "\u00ad", "\u034f", "\ufe0f"]
SPACES = [" ", "  ", "\u00a0", "\u2009", "\u202f", "\u3000", "\t", " \n "]


@pytest.mark.parametrize("character", INVISIBLE)
def test_characters_without_width_do_not_count(character: str) -> None:
    for text in (f"{character}Rio de Janeiro", f"Rio{character} de Janeiro", f"Rio de Janeiro{character}"):
        assert normal_form(text) == "Rio de Janeiro"


@pytest.mark.parametrize("space", SPACES)
def test_every_white_space_is_one_space(space: str) -> None:
    assert normal_form(f"{space}New{space}York{space}") == "New York"


@pytest.mark.parametrize("text", ["São Paulo", "Đà Nẵng", "Škoda", "한국", "ﬁn de siècle", "１９８４", "½"])
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_all_forms_of_unicode_are_one(text: str, form: str) -> None:
    assert normal_form(unicodedata.normalize(form, text)) == normal_form(text)
    assert folded(unicodedata.normalize(form, text).upper().lower()) == folded(text)


@pytest.mark.parametrize("text", ["a  b", "e\u0301\u200b\u0301", "\u1e9e\u00a0", "İ", "ϓ\u0301", "\u200b", ""])
def test_the_normal_form_is_its_own_normal_form(text: str) -> None:
    assert normal_form(normal_form(text)) == normal_form(text)
    assert folded(folded(text)) == folded(text)


def test_different_texts_stay_different() -> None:
    texts = ["résumé", "resume", "New York", "NewYork", "1.5", "15", "C", "C#", "C++"]
    assert len({folded(text) for text in texts}) == len(texts)
    assert normal_form("Us") != normal_form("US")


def test_the_key_of_a_question_leaves_out_case_spaces_and_its_end() -> None:
    keys = {
        question_key(q)
        for q in ("Who wrote Dune?", "who wrote  dune", "Who wrote Dune ?", "WHO WROTE DUNE??", "Who wrote Dune.")
    }
    assert len(keys) == 1
    assert question_key("Who wrote C?") != question_key("Who wrote C#?") != question_key("Who wrote C++?")
    assert question_key("???") == "???"
