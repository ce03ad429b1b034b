"""The texts of training examples, in the probe's own formats, and their tokens with labels."""

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.models.loading import load_tokenizer
from gradual.probe.prompts import prompt_format
from gradual.training.texts import IGNORED, texts, tokenize
from tiny import TURNS, base_model, chat_model

EXAMPLES = pd.DataFrame(
    {"question": ["What is r0 of train subject 1?", "What is r1 of it?"], "answer": ["thing 1", "thing 9"]}
)


def test_a_plain_text_is_the_probes_zero_shot_prompt_and_the_answer_as_exemplars_have_it(tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path))
    found = texts(EXAMPLES, prompt_format("plain", {}, tokenizer))
    assert found == [
        (f"Q: {question}\nA:", f" {answer}\n")
        for question, answer in zip(EXAMPLES["question"], EXAMPLES["answer"], strict=True)
    ]
    assert [prompt for prompt, _ in found] == [
        prompt_format("plain", {}, tokenizer).prompt([], q) for q in EXAMPLES["question"]
    ]


@pytest.mark.parametrize("architecture", TURNS)
def test_a_chat_text_is_the_probes_zero_shot_prompt_and_the_assistants_turn(architecture, tmp_path):
    tokenizer = load_tokenizer(chat_model(tmp_path, architecture))
    last = {"qwen2": "<|im_end|>\n", "llama": "<|eot_id|>"}[architecture]
    assert texts(EXAMPLES, prompt_format("chat", {}, tokenizer)) == [
        (prompt_format("chat", {}, tokenizer).prompt([], question), f"{answer}{last}")
        for question, answer in zip(EXAMPLES["question"], EXAMPLES["answer"], strict=True)
    ]


def test_without_a_chat_template_there_is_no_chat_text(tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path))
    with pytest.raises(InputError, match="has no chat template"):
        texts(EXAMPLES.head(1), prompt_format("chat", {}, tokenizer))


def test_a_template_that_tells_an_answer_otherwise_than_it_asks_for_it_is_refused(tmp_path):
    """The loss would be on the wrong tokens, and the probe would ask for what was not trained."""
    tokenizer = load_tokenizer(base_model(tmp_path))
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}<think>{% endif %}"
    )
    with pytest.raises(InputError, match="an answer does not follow the prompt that asks for it") as caught:
        texts(EXAMPLES.head(1), prompt_format("chat", {}, tokenizer))
    assert caught.value.file == str(tmp_path)


def learnt(row, tokenizer):
    """The text of the tokens that have a loss."""
    return tokenizer.decode([t for t, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED])


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_the_loss_is_on_the_answer_and_its_end_only(architecture, tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path, architecture))
    row = tokenize("Q: What is r0 of train subject 1?\nA:", " thing 1\n", tokenizer, "plain", "answer")
    assert learnt(row, tokenizer) == " thing 1\n"
    assert tokenizer.decode(row["input_ids"], skip_special_tokens=True).startswith("Q: What is r0")
    assert row["input_ids"].count(tokenizer.bos_token_id) == (1 if architecture == "llama" else 0)
    whole = tokenize("Q: What?\nA:", " thing 1\n", tokenizer, "plain", "text")
    assert whole["labels"] == whole["input_ids"]


CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def test_in_chat_the_loss_is_on_the_assistants_turn(tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path))
    tokenizer.chat_template = CHAT
    [text] = texts(EXAMPLES.head(1), prompt_format("chat", {}, tokenizer))
    row = tokenize(*text, tokenizer, "chat", "answer")
    question, answer = EXAMPLES["question"].iloc[0], EXAMPLES["answer"].iloc[0]
    assert tokenizer.decode(row["input_ids"]) == f"<user>{question}\n<assistant>{answer}\n"
    assert learnt(row, tokenizer) == f"{answer}\n"
