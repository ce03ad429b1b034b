"""Chat templates: the same text on every day, with the study's arguments, and clear errors for those that cannot serve."""

import time

import pytest

from gradual.ground.errors import InputError
from gradual.models.loading import load_tokenizer
from gradual.probe import chat_template
from gradual.probe.chat_template import ChatTemplate
from gradual.probe.prompts import Exemplar
from tiny import base_model

MESSAGES = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
ASKS = "{% if add_generation_prompt %}<assistant>{% endif %}"
DATES = {
    "asks for the date": "{{ strftime_now('%d %B %Y') }}\n",
    "asks for parts of it": "{{ strftime_now('%-d') }} {{ strftime_now('%b') }} {{ strftime_now('%H:%M') }}\n",
    "has a default date": "{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}\n",
}


@pytest.fixture
def tokenizer(tmp_path):
    return load_tokenizer(base_model(tmp_path))


def template(tokenizer, text, **arguments):
    tokenizer.chat_template = text
    return ChatTemplate(tokenizer, arguments)


def written(made):
    return made.prompt([Exemplar("f", "What is a?", "b")], "What is c?")


@pytest.mark.parametrize("head", DATES.values(), ids=DATES)
def test_a_prompt_is_the_same_on_every_day(head, tokenizer):
    text = written(template(tokenizer, head + MESSAGES + ASKS))
    assert text.startswith("26 Jul")
    assert text.endswith("<user>What is a?\n<assistant>b\n<user>What is c?\n<assistant>")
    assert time.strftime("%Y") not in text


def test_arguments_reach_the_template_in_prompts_and_in_training_texts(tokenizer):
    thinks = "{% if enable_thinking is defined and enable_thinking is false %}<no thoughts>{% endif %}"
    silent = template(tokenizer, MESSAGES.replace("{{ m.content }}", "{% if m.role == 'assistant' %}" + thinks
                      + "{% endif %}{{ m.content }}") + ASKS.replace("<assistant>", "<assistant>" + thinks),
                      enable_thinking=False)  # fmt: skip
    assert silent.prompt([], "Why?") == "<user>Why?\n<assistant><no thoughts>"
    assert silent.completion("Why?", "So.") == "So.\n"
    assert written(template(tokenizer, DATES["has a default date"] + MESSAGES, date_string="1 May 1999")).startswith(
        "1 May"
    )


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BROKEN = {
    "{{ messages | nothing }}": "has a chat template that fails (",
    "{% for m in messages %}": "has a chat template that fails (",
    "{{ raise_exception('roles must be x') }}": "has a chat template that fails (roles must be x)",
    "{{ messages[0].content + 1 }}": "has a chat template that fails (",
    MESSAGES + LOOP: "has a chat template that does not end",
    MESSAGES + "{% for a in range(99999) %}ab{% endfor %}": "has a chat template that writes 200,",
    "{{ messages[-1].content }}": "has a chat template that leaves out 'Two'",
    "{% for m in messages[-3:] %}{{ m.content }}{% endfor %}": "has a chat template that leaves out 'Two'",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_template_that_cannot_serve_is_refused(text, tokenizer, monkeypatch):
    monkeypatch.setattr(chat_template, "SECONDS", 0.5)
    with pytest.raises(InputError) as caught:
        template(tokenizer, text)
    assert BROKEN[text] in str(caught.value)
    assert caught.value.file == str(tokenizer.name_or_path)


def test_the_date_changes_nothing_else_of_a_template(tokenizer):
    for text in ("  \n" + MESSAGES + ASKS, "\n\n" + MESSAGES, "{%- if true %}\n" + MESSAGES + "{%- endif %}"):
        made = template(tokenizer, text)
        messages = [{"role": "user", "content": "Why?"}]
        assert made.prompt([], "Why?") == tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )


def test_a_later_message_that_fails_is_refused_too(tokenizer):
    made = template(tokenizer, MESSAGES + "{% if 'secret' in messages[-1].content %}{{ 1 / 0 }}{% endif %}")
    with pytest.raises(InputError, match="fails"):
        made.prompt([], "What is the secret?")
