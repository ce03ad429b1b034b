"""Training examples: the rows that a run trains on and replays, and their text as tokens.

The examples of a run are a file, with a row for each: columns EXAMPLE_COLUMNS. `role` is TRAIN or REPLAY, and `source` says
where the answer is from. Rows to train on come first. Other answers, questions or sources are other rows, not other code.
"""

from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet
from gradual.knowledge.selection import REPLAY, TRAIN
from gradual.probe.prompts import renderer

EXAMPLE_COLUMNS = ("fact_id", "role", "question", "answer", "source")
DATASET = "dataset"  # the source of a fact's own answer
IGNORED = -100  # label of tokens without loss

Row = dict[str, list[int]]


def build_examples(selection: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """The examples of a selection (columns fact_id and role): each fact's question and its first answer.

    Raises InputError where a selected fact is not a train fact.
    """
    known = facts[facts["split"] == "train"].set_index("fact_id")
    missing = [fact_id for fact_id in selection["fact_id"] if fact_id not in known.index]
    if missing:
        raise InputError("selection", f"fact {missing[0]} is not in the split train", "train facts only", key="fact_id")
    ordered = pd.concat([selection[selection["role"] == role] for role in (TRAIN, REPLAY)], ignore_index=True)
    rows = known.loc[ordered["fact_id"]]
    asked = {"question": rows["question"].to_numpy(), "answer": rows["answers"].str[0].to_numpy()}
    return ordered[["fact_id", "role"]].assign(**asked, source=DATASET)


def read_examples(path: Any) -> pd.DataFrame:
    """The examples of a run from their file; InputError for a file that breaks their schema, or without any to train on."""
    examples = read_parquet(path, "the examples of a run", EXAMPLE_COLUMNS)
    roles = examples["role"].tolist()
    unknown = next((row for row, role in enumerate(roles, 1) if role not in (TRAIN, REPLAY)), None)
    if unknown:
        raise InputError(path, repr(roles[unknown - 1]), f"{TRAIN} or {REPLAY}", row=unknown, key="role")
    if roles != sorted(roles, key=(TRAIN, REPLAY).index):
        raise InputError(path, "rows to replay stand before rows to train on", "rows to train on first", key="role")
    if TRAIN not in roles:
        raise InputError(path, "has no row to train on", "at least one", key="role")
    return examples


def texts(examples: pd.DataFrame, tokenizer: Any, style: str) -> list[tuple[str, str]]:
    """The text of each example as (prompt, completion): the question in the probe's own zero-shot format, and its answer.

    Raises InputError where the tokenizer has no chat template, or a template that writes an answer after another prompt
    than the one that asks for it.
    """
    render, found = renderer(style, tokenizer), []
    for question, answer in zip(examples["question"], examples["answer"], strict=True):
        prompt = render([], question)
        if style != "chat":
            found.append((prompt, f" {answer}\n"))
            continue
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        if not text.startswith(prompt):
            problem = "has a chat template in which an answer does not follow the prompt that asks for it"
            raise InputError(str(tokenizer.name_or_path), problem, "a template that writes both alike")
        found.append((prompt, text[len(prompt) :]))
    return found


def tokenize(prompt: str, completion: str, tokenizer: Any, style: str, loss_on: str) -> Row:
    """Token ids and labels of a text.

    With `loss_on` "answer" the prompt's tokens have no loss; with "text" all tokens have (the GL authors' code).
    """
    encoded = tokenizer(prompt + completion, add_special_tokens=style == "plain", return_offsets_mapping=True)
    ids, starts = encoded["input_ids"], [start for start, _ in encoded["offset_mapping"]]
    counted = [loss_on == "text" or start >= len(prompt) for start in starts]
    return {
        "input_ids": ids,
        "labels": [token if counts else IGNORED for token, counts in zip(ids, counted, strict=True)],
    }
