"""Facts whose answers are impossible within the limits, counted and refused."""

import json
import math

import pandas as pd
import pytest

import check_answers
from gradual.data.facts import make_table
from gradual.ground.errors import InputError
from gradual.knowledge.answerable import CAUSES, Limits, check, count, enough, needed_tokens
from gradual.knowledge.golds import golds
from gradual.probe.prompts import prompt_format
from gradual.training.texts import texts, tokenize
from tiny import base_model, chat_model, load_tokenizer

PLAIN = Limits(format="plain", template_arguments={}, stop=("\n",), max_new_tokens=4)
LONG, SHORT = "an answer of very many words that no limit allows", "thing 3"


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def tokenizer(handle):
    return load_tokenizer(handle)


def table(*answers, split="train"):
    """Facts with these answers, in this order."""
    rows = [
        {"split": split, "relation": "r", "subject": "", "question": f"q{i}?", "answers": a}
        for i, a in enumerate(answers)
    ]
    facts = make_table(rows)
    return facts.sort_values("question", key=lambda q: q.str[1:-1].astype(int), ignore_index=True)


def needed(facts, tokenizer, limits=PLAIN, answers="any"):
    return needed_tokens(facts, golds(facts, answers), tokenizer, limits)


def limits(**changes):
    return Limits(**(vars(PLAIN) | changes))


CASES = [
    ([SHORT], None),
    ([LONG], {"too_long"}),
    (["U.S."], {"holds_stop"}),
    (["U.S. " + LONG], {"holds_stop", "too_long"}),
    (["\u200e"], {"empty"}),
    ([LONG, SHORT], None),
    ([LONG, "\u200b", "U.S."], {"too_long", "holds_stop"}),
    (["thing\n3"], None),  # an answer without the line break is right, too
    (["thi\u200bng\u00a0 3"], None),
]


@pytest.mark.parametrize(("answers", "causes"), CASES, ids=lambda value: str(sorted(value or ())))
def test_a_fact_is_counted_by_the_causes_of_its_answers_unless_one_is_possible(tokenizer, answers, causes):
    found = needed(table(answers), tokenizer, limits(stop=("\n", "."), max_new_tokens=7))
    assert {cause for cause in CAUSES if found[cause].iloc[0]} == (causes or set())
    counted = count(found).iloc[0].to_dict()
    assert counted == {"split": "train", "facts": 1, "never": int(bool(causes))} | {
        c: int(c in (causes or ())) for c in CAUSES
    }


def test_only_answers_that_count_make_a_fact_possible(tokenizer):
    facts = table([LONG, SHORT])
    assert count(needed(facts, tokenizer, limits(max_new_tokens=7), "any"))["never"].item() == 0
    assert count(needed(facts, tokenizer, limits(max_new_tokens=7), "first"))["never"].item() == 1


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
@pytest.mark.parametrize("style", ["plain", "chat"])
def test_an_answer_is_as_long_as_training_writes_it(tmp_path, architecture, style):
    tokenizer = load_tokenizer(chat_model(tmp_path, architecture))
    golds_ = [SHORT, LONG, "\u00e9t\u00e9", "2010"]
    found = needed(table(*([gold] for gold in golds_)), tokenizer, limits(format=style))
    examples = pd.DataFrame({"question": "What?", "answer": golds_})
    for (prompt, completion), gold, tokens in zip(
        texts(examples, prompt_format(style, {}, tokenizer)), golds_, found["needed"], strict=True
    ):
        answer = completion[: completion.index(gold) + len(gold)]
        labels = tokenize(prompt, answer, tokenizer, style, "answer")["labels"]
        assert tokens == sum(label >= 0 for label in labels)


def test_a_split_with_too_many_is_refused_with_what_to_do(tokenizer):
    facts = pd.concat(
        [table(*[[SHORT]] * 18, [LONG], ["x " + LONG]), table(*[[SHORT]] * 19, [LONG], split="test")], ignore_index=True
    )
    own = limits(max_new_tokens=7)
    found = needed(facts, tokenizer, own)
    with pytest.raises(InputError) as caught:
        check(found, own, 0.05, "facts.parquet")
    longest = int(found["needed"].max())
    said = str(caught.value)
    assert said.startswith("facts.parquet, key 'answers': 2 of 20 train facts") and "(7)" in said
    assert f"'{LONG}' (" in said and "at most 5% of a split" in said
    suffices = enough(found, 0.05)
    assert f"probe.max_new_tokens: {suffices} or more" in said and suffices < longest
    check(needed(facts, tokenizer, limits(max_new_tokens=suffices)), limits(max_new_tokens=suffices), 0.05, "facts")
    with pytest.raises(InputError):
        check(needed(facts, tokenizer, limits(max_new_tokens=suffices - 1)), own, 0.05, "facts")
    check(found, own, 0.1, "facts")


def test_where_no_length_helps_other_stop_strings_are_named(tokenizer):
    facts = table(["U.S."], [SHORT])
    own = limits(stop=(".",), max_new_tokens=50)
    found = needed(facts, tokenizer, own)
    assert math.isinf(enough(found, 0.05))
    with pytest.raises(
        InputError, match=r"'U\.S\.' \(holds a stop string\); expected .* set other strings in probe.stop, or"
    ):
        check(found, own, 0.05, "facts")


def test_support_facts_are_not_asked_and_not_counted(tokenizer):
    facts = pd.concat([table([SHORT]), table([LONG], split="support")], ignore_index=True)
    assert count(needed(facts, tokenizer, limits(max_new_tokens=7)))["split"].tolist() == ["train"]


def test_the_script_writes_the_counts_or_refuses_and_writes_nothing(handle, tmp_path):
    table(*[[SHORT]] * 9, [LONG]).to_parquet(tmp_path / "facts.parquet")

    def call(out, share):
        told = json.dumps(vars(PLAIN) | {"max_new_tokens": 7})
        words = [
            "--base",
            handle,
            "--facts",
            tmp_path / "facts.parquet",
            "--answers",
            "first",
            "--answerable",
            tmp_path / out,
        ]
        check_answers.main([*map(str, words), "--limits", told, "--unanswerable", str(share)])
        return pd.read_csv(tmp_path / out)

    counts = call("counts.csv", 0.1)
    assert counts.to_dict("records") == [
        {"split": "train", "facts": 10, "too_long": 1, "holds_stop": 0, "empty": 0, "never": 1}
    ]
    with pytest.raises(InputError, match="1 of 10 train facts"):
        call("refused.csv", 0.05)
    assert not (tmp_path / "refused.csv").exists()
