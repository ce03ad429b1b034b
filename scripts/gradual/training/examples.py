"""Training examples: the rows that a run trains on, and those that it may replay.

The examples of a run are in a file with the columns EXAMPLE_COLUMNS and a row per example. `role` is TRAIN or REPLAY, and
`source` says where the answer comes from. Rows to train on come first. Other questions or answers need other rows, and no
other code of training.
"""

from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet
from gradual.knowledge.selection_roles import REPLAY, TRAIN

EXAMPLE_COLUMNS = ("fact_id", "role", "question", "answer", "source")
DATASET = "dataset"  # the source of a fact's own answer


def build_examples(selection: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """The examples of a selection (columns fact_id and role), with each fact's question and first answer.

    Raises InputError if a selected fact is not a train fact.
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
    """The examples of a run from their file. Raises InputError for a broken file or one without a row to train on."""
    examples = read_parquet(path, "the examples of a run", EXAMPLE_COLUMNS)
    roles = examples["role"].tolist()
    unknown = next((row for row, role in enumerate(roles, 1) if role not in (TRAIN, REPLAY)), None)
    if unknown:
        raise InputError(path, repr(roles[unknown - 1]), f"{TRAIN} or {REPLAY}", row=unknown, key="role")
    for key in ("fact_id", "question", "answer", "source"):
        for row, text in enumerate(examples[key], 1):
            if not (isinstance(text, str) and text.strip()):
                raise InputError(path, repr(text), "a text that is not empty", row=row, key=key)
    if roles != sorted(roles, key=(TRAIN, REPLAY).index):
        raise InputError(path, "rows to replay stand before rows to train on", "rows to train on first", key="role")
    if TRAIN not in roles:
        raise InputError(path, "has no row to train on", "at least one", key="role")
    return examples
