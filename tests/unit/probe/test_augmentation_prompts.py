"""Prompts that let a model augment a question."""

import pytest

from gradual.data.augmentation_forms import LOGIC, TITLES, head
from gradual.ground.normal_form import folded
from gradual.probe.augmentation_prompts import EXEMPLARS, augmentation_prompt
from gradual.training.augmentation import has_form


@pytest.mark.parametrize("way", TITLES)
def test_a_model_that_was_taught_gets_the_head_of_a_document(way):
    assert augmentation_prompt(way, "Who sings?", True) == head(way, "Who sings?")


@pytest.mark.parametrize("way", TITLES)
def test_another_model_first_gets_whole_documents(way):
    prompt = augmentation_prompt(way, "Who sings?", False)
    *shown, last = prompt.split("\n\n")
    assert last == head(way, "Who sings?") and len(shown) == len(EXEMPLARS[way]) == 4
    for row, text in zip(EXEMPLARS[way], shown, strict=True):
        assert text.startswith(head(way, row["question"])) and row["written"] in text
        assert (f"A: {row['answer']}" in text) == (way == LOGIC)


@pytest.mark.parametrize("way", TITLES)
def test_an_exemplar_has_the_form_of_its_way_and_does_not_hold_the_answer(way):
    for row in EXEMPLARS[way]:
        assert has_form(way, row["question"], row["written"])
        assert folded(row["answer"]) not in folded(row["written"])


def test_an_exemplar_with_the_question_itself_is_left_out():
    prompt = augmentation_prompt(LOGIC, "who wrote Hamlet", False)
    assert "Who wrote Hamlet?" not in prompt and prompt.count("Reason\n") == 4
