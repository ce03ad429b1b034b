"""Training examples: what a run trains on and replays, as a file, as texts and as tokens."""

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.models.loading import load_tokenizer
from gradual.probe.prompts import renderer
from gradual.training.examples import (
    DATASET,
    EXAMPLE_COLUMNS,
    IGNORED,
    build_examples,
    read_examples,
    texts,
    tokenize,
)
from tiny import TURNS, base_model, chat_model, facts

FACTS = facts()
TRAIN = FACTS[FACTS["split"] == "train"].reset_index(drop=True)


def selection(*roles):
    """The first train facts with these roles."""
    return pd.DataFrame({"fact_id": TRAIN["fact_id"].iloc[: len(roles)], "role": list(roles)})


def written(examples, folder):
    write_parquet(examples, folder / "examples.parquet")
    return folder / "examples.parquet"


# --- the file --------------------------------------------------------------------------------------------------------


def test_examples_are_the_questions_and_answers_of_the_selected_facts_those_to_train_on_first(tmp_path):
    built = build_examples(selection("replay", "train", "replay", "train"), FACTS)
    assert tuple(built.columns) == EXAMPLE_COLUMNS
    chosen = TRAIN.iloc[[1, 3, 0, 2]]  # within a role in the order of the selection
    assert built["fact_id"].tolist() == chosen["fact_id"].tolist()
    assert built["role"].tolist() == ["train", "train", "replay", "replay"]
    assert built["question"].tolist() == chosen["question"].tolist()
    assert built["answer"].tolist() == [answers[0] for answers in chosen["answers"]]
    assert set(built["source"]) == {DATASET}
    assert read_examples(written(built, tmp_path)).equals(built)


def test_of_several_answers_the_first_is_trained():
    table = FACTS.assign(answers=[[f"first {i}", "second"] for i in range(len(FACTS))])
    built = build_examples(selection("train"), table)
    assert built["answer"].item() == table.set_index("fact_id")["answers"][built["fact_id"].item()][0]


@pytest.mark.parametrize("split", ["dev", "test", "support"])
def test_a_fact_that_is_no_train_fact_is_no_example(split):
    others = FACTS.assign(split=FACTS["split"].replace("dev", split))
    other = others[others["split"] == split]["fact_id"].iloc[0]
    chosen = pd.concat([selection("train"), pd.DataFrame({"fact_id": [other], "role": ["replay"]})])
    with pytest.raises(InputError, match=f"fact {other} is not in the split train; expected train facts") as caught:
        build_examples(chosen, others)
    assert (caught.value.file, caught.value.key) == ("selection", "fact_id")


def test_examples_may_be_of_other_sources_and_repeat_a_fact(tmp_path):
    """Other answers, questions or sources are other rows, not other code."""
    built = build_examples(selection("train", "replay"), FACTS)
    more = built.iloc[:1].assign(answer="my own", source="model")
    both = pd.concat([more, built], ignore_index=True)
    assert read_examples(written(both, tmp_path)).equals(both)


UNFIT = {
    "an unknown role": (["train", "test", "replay"], 2, "'test'; expected train or replay"),
    "no role": (["train", None], 2, "; expected train or replay"),
    "replayed ones first": (["replay", "train"], None, "rows to replay stand before rows to train on; expected rows"),
    "one to replay between": (["train", "replay", "train"], None, "rows to replay stand before rows to train on"),
    "none to train on": (["replay"], None, "has no row to train on; expected at least one"),
    "none at all": ([], None, "has no row to train on"),
}


@pytest.mark.parametrize(("roles", "row", "words"), UNFIT.values(), ids=UNFIT)
def test_examples_that_break_their_schema_are_named(roles, row, words, tmp_path):
    built = build_examples(selection(*(["train"] * len(roles))), FACTS)
    file = written(built.assign(role=pd.Series(roles, dtype=object)), tmp_path)
    with pytest.raises(InputError) as caught:
        read_examples(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), row, "role")
    assert words in str(caught.value)


@pytest.mark.parametrize("column", EXAMPLE_COLUMNS)
def test_examples_without_a_column_are_named(column, tmp_path):
    file = written(build_examples(selection("train"), FACTS).drop(columns=column), tmp_path)
    with pytest.raises(InputError, match="expected the examples of a run with this column") as caught:
        read_examples(file)
    assert (caught.value.file, caught.value.key) == (str(file), column)


EMPTY = {"no text": None, "a number": 3, "empty": "", "space": " ", "not a number": float("nan")}


@pytest.mark.parametrize("value", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("column", ["question", "answer"])
def test_a_question_or_an_answer_that_is_no_text_is_named(column, value, tmp_path):
    built = build_examples(selection("train", "train"), FACTS).astype({column: object})
    built[column] = [value] * 2 if value == 3 else [built[column].iloc[0], value]
    file = written(built, tmp_path)
    with pytest.raises(InputError, match="expected a text that is not empty") as caught:
        read_examples(file)
    assert (caught.value.file, caught.value.row, caught.value.key) == (str(file), 1 if value == 3 else 2, column)


# --- their texts -----------------------------------------------------------------------------------------------------


def test_a_plain_text_is_the_probes_zero_shot_prompt_and_the_answer_as_exemplars_have_it(tmp_path):
    tokenizer, built = load_tokenizer(base_model(tmp_path)), build_examples(selection("replay", "train"), FACTS)
    found = texts(built, tokenizer, "plain")
    assert found == [
        (f"Q: {question}\nA:", f" {answer}\n")
        for question, answer in zip(built["question"], built["answer"], strict=True)
    ]
    assert [prompt for prompt, _ in found] == [renderer("plain", tokenizer)([], q) for q in built["question"]]


@pytest.mark.parametrize("architecture", TURNS)
def test_a_chat_text_is_the_probes_zero_shot_prompt_and_the_assistants_turn(architecture, tmp_path):
    tokenizer = load_tokenizer(chat_model(tmp_path, architecture))
    built = build_examples(selection("train", "replay"), FACTS)
    last = {"qwen2": "<|im_end|>\n", "llama": "<|eot_id|>"}[architecture]
    assert texts(built, tokenizer, "chat") == [
        (renderer("chat", tokenizer)([], question), f"{answer}{last}")
        for question, answer in zip(built["question"], built["answer"], strict=True)
    ]


def test_without_a_chat_template_there_is_no_chat_text(tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path))
    with pytest.raises(InputError, match="has no chat template"):
        texts(build_examples(selection("train"), FACTS), tokenizer, "chat")


def test_a_template_that_tells_an_answer_otherwise_than_it_asks_for_it_is_refused(tmp_path):
    """The loss would be on the wrong tokens, and the probe would ask for what was not trained."""
    tokenizer = load_tokenizer(base_model(tmp_path))
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}<think>{% endif %}"
    )
    with pytest.raises(InputError, match="an answer does not follow the prompt that asks for it") as caught:
        texts(build_examples(selection("train"), FACTS), tokenizer, "chat")
    assert caught.value.file == str(tmp_path)


# --- their tokens ----------------------------------------------------------------------------------------------------


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
    [text] = texts(build_examples(selection("train"), FACTS), tokenizer, "chat")
    row = tokenize(*text, tokenizer, "chat", "answer")
    question, answer = TRAIN["question"].iloc[0], TRAIN["answers"].iloc[0][0]
    assert tokenizer.decode(row["input_ids"]) == f"<user>{question}\n<assistant>{answer}\n"
    assert learnt(row, tokenizer) == f"{answer}\n"
