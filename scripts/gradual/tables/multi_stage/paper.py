"""The paper's own numbers: the main table and the ablations of MS as printed, a row of `paper.csv` per number.

They come from the paper's slides and text. MS do not say which model and stage the ablations are of. Their row without
augmentation has the numbers of LLaMA3-8B with CIT at stage 2, so they are taken to be of that model and stage. In the
table of the preference bias, the same row has ACC and KGR exchanged, so `printed` exchanges the columns of this table.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from gradual.ground.statistics import UNDEFINED

RESOURCES = ("paper.csv",)  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])
MAIN, PREFERENCE = "main", "preference"
KGR, ACC = "KGR", "ACC"
SHARED = "all methods"  # the row of the first stage
ABLATED = 2  # the stage of the ablations
# What the paper calls the methods with a role, in the main table and in the ablations.
METHODS = {"plain": "CIT", "mocl": "MoCL", "f_learning": "F-Learning", "theirs": "theirs"}
ABLATIONS = {
    "preference": (PREFERENCE, "PB"),
    "background": ("augmentation", "BKI"),
    "logic": ("augmentation", "LCE"),
    "paraphrase": ("augmentation", "PA"),
    "augmented": ("augmentation", "CA"),
    "half": ("selection", "1/2"),
    "quarter": ("selection", "1/4"),
    "eighth": ("selection", "1/8"),
    "selected": ("selection", "DS"),
}


@cache
def _read() -> Mapping[tuple[str, str | None, str, str], float]:
    frame = pd.read_csv(FILE)
    return frame.set_index(["table", "model", "row", "column"])["value"].to_dict()


@cache
def models() -> tuple[str, ...]:
    """The models that the paper reports."""
    return tuple(dict.fromkeys(model for _, model, _, _ in _read() if model))


def printed(model: str | None, role: str, stage: int, metric: str) -> float:
    """The paper's KGR or ACC, in percent, of the method with a role at a stage; NaN where the paper has none.

    At the first stage, all roles have the same number, because all methods share this stage.
    """
    if stage == 1:
        place = (MAIN, model, SHARED, f"S1 {metric}")
    elif role in METHODS:
        place = (MAIN, model, METHODS[role], f"S{stage} {metric}")
    elif role in ABLATIONS and stage == ABLATED:
        table, row = ABLATIONS[role]
        exchanged = {ACC: KGR, KGR: ACC} if table == PREFERENCE else {}
        place = (table, model, row, exchanged.get(metric, metric))
    else:
        return UNDEFINED.value
    return _read().get(place, UNDEFINED.value)


def gain(model: str | None, role: str, over: str, stage: int) -> float | None:
    """How much the paper's ACC of one role is above that of another (a share); None where one of them is not printed."""
    difference = printed(model, role, stage, ACC) - printed(model, over, stage, ACC)
    return None if pd.isna(difference) else difference / 100
