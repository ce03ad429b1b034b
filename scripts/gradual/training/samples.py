"""The samples of a run: answers of its parent to the questions that the run trains on, with their log-probabilities.

They are in a file with the columns SAMPLE_COLUMNS. It has a row per question for the answer that the run trains on, its
target, and a row per distinct sampled answer. The log-probabilities are those of the parent, which is the reference of a
preference loss.
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.cells import is_id, is_text
from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet

TARGET, ALIGNED, CONFLICTING = KINDS = ("target", "aligned", "conflicting")
# `count` says how many samples gave this text; it is 0 for a target. `completion` is the exact text after the prompt, and
# `log_probability` its mean per token, over so many `tokens`.
SAMPLE_COLUMNS = ("fact_id", "question", "kind", "text", "count", "completion", "log_probability", "tokens")


def questions_of(examples: pd.DataFrame, file: Any) -> pd.DataFrame:
    """The distinct questions of some examples (columns fact_id, question and answer).

    Raises InputError, which names `file`, where a question of a fact has two answers, because then it has two targets.
    """
    asked = examples[["fact_id", "question", "answer"]].drop_duplicates()
    twice = asked[asked.duplicated(["fact_id", "question"])]
    if len(twice):
        problem = f"fact {twice['fact_id'].iloc[0]} has two answers to {twice['question'].iloc[0]!r}"
        raise InputError(file, problem, "one, with which its samples are compared", key="answer")
    return asked.reset_index(drop=True)


def read_samples(path: Path) -> pd.DataFrame:
    """The samples of a run from their file. Raises InputError for a broken one."""
    samples = read_parquet(path, "the samples of a run", SAMPLE_COLUMNS)
    for row, sample in enumerate(samples.itertuples(index=False), 1):
        fitting = {
            "fact_id": (is_id(sample.fact_id), "16 hex digits"),
            "question": (is_text(sample.question), "a text that is not empty"),
            "kind": (sample.kind in KINDS, f"one of {', '.join(KINDS)}"),
            "text": (isinstance(sample.text, str), "a text"),
            "completion": (isinstance(sample.completion, str), "a text"),
            "count": (
                _whole(sample.count) and (sample.count > 0) != (sample.kind == TARGET),
                "how many samples gave the text, and 0 for a target",
            ),
            "log_probability": (_log_probability(sample.log_probability), "a finite number that is at most 0"),
            "tokens": (_whole(sample.tokens) and sample.tokens >= 0, "a number of tokens"),
        }
        for key, (fits, expected) in fitting.items():
            if not fits:
                raise InputError(path, f"{getattr(sample, key)!r}", expected, row=row, key=key)
    for place, kinds in samples.groupby(["fact_id", "question"], sort=False)["kind"]:
        if (kinds == TARGET).sum() != 1 or len(kinds) == 1:
            problem = f"{(kinds == TARGET).sum()} targets and {(kinds != TARGET).sum()} samples of fact {place[0]}"
            row = int(kinds.index[0]) + 1  # the question's first one
            raise InputError(path, f"has {problem} for {place[1]!r}", "one target, and samples", row=row, key="kind")
    return samples


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _log_probability(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value <= 0
