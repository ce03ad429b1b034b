"""The paper's own numbers: Tables 2, 3, 4, 7 and 10 of GL, as printed. `paper.csv` has a row per number."""

from functools import cache
from pathlib import Path

import pandas as pd

from gradual.errors import InputError

PATH = Path(__file__).with_name("paper.csv")

# Captions as printed. GL's Tables 4 and 10 name no model; their numbers belong to Qwen2-7B.
CAPTIONS = {
    2: "The number of knowledge points for each type before fine-tuning.",
    3: "A statistical analysis of the changes in knowledge types after the first stage of fine-tuning. Since "
    "distinguishing between ‘Weakly Known’ and ‘Unknown’ is costly and less relevant to our approach (as we only need to "
    "differentiate between ‘Highly Known’, ‘Maybe Known’, or neither when selecting training data), these two categories "
    "were grouped together. We have highlighted in bold the parts where the mastery level transitions from a lower level "
    'to "Maybe Known."',
    4: "The differences in results when testing knowledge types twice using the same model.",
    7: "Accuracy results obtained using two-stage fine-tuning, one-stage fine-tuning, and without fine-tuning.",
    10: "The number of different types of knowledge at various stages. From the table, it can be observed that after "
    "two-stage fine-tuning, the classification of ‘Highly Known’ has significantly increased, while the other types have "
    "decreased.",
}


@cache
def _read() -> pd.DataFrame:
    return pd.read_csv(PATH)


def numbers(table: int, model: str | None) -> dict[tuple[str, str], float]:
    """The numbers of a table by (row, column); empty without a model, or where the table does not show it.

    Raises InputError where no table of the paper knows the model.
    """
    if model is None:
        return {}
    printed = _read()
    known = sorted(printed["model"].unique())
    if model not in known:
        raise InputError(
            "models", f"the paper has no model {model!r}", f"one of {', '.join(known)}, or null", key="paper"
        )
    rows = printed[(printed["table"] == table) & (printed["model"] == model)]
    return {(row, column): value for row, column, value in zip(rows["row"], rows["column"], rows["value"], strict=True)}
