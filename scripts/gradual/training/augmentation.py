"""Augmented questions: what was written about a question, whether it has the form of its way, and what it must not hold.

A row is about a question and a way (`data.augmentation_forms`). An augmented question is trained on with the answer of the
question that it comes from. So it must be about the same subject, and must not hold this answer.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from gradual.data.augmentation_forms import LOGIC, PARAPHRASE, TITLES, augmented
from gradual.data.cells import is_id, is_text, lacking, refuse
from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet
from gradual.ground.normal_form import folded, question_key
from gradual.training.augment_settings import SOURCES

# Flags of a row: the text has the form of its way; it names the subject; it holds an earlier answer of the fact, or the one
# to train on (a leak); it asks in a wording for tests alone.
FLAGS = ("parsed", "subject_kept", "old_inside", "new_inside", "tested")
# `made_by` is the model or the templates. `written` is what was written, and `augmented` the augmented question, which is
# empty without the form. `agrees` says whether the parent answers both questions alike; null where it was not asked.
AUGMENTED_COLUMNS = ("fact_id", "question", "way", "made_by", "written", "augmented", *FLAGS, "agrees")
# The gate, which was set before any result: the least shares of questions about support facts whose augmentation has the
# form of its way, and keeps the subject. A way that fails is made by templates, and its rows are named so.
GATE = {"parsed": 0.9, "subject_kept": 0.8}
GATED = 200  # the most support facts that the gate asks about
SENTENCE = re.compile(r"[^.!?]*\w[^.!?]*[.!?](?=\s|$)")


def to_write(asked: pd.DataFrame, ways: Sequence[str]) -> pd.DataFrame:
    """A row (fact_id, question, way) for each row of `asked` (fact_id, question) and each way."""
    pairs = product(asked[["fact_id", "question"]].itertuples(index=False, name=None), ways)
    return pd.DataFrame([(*pair, way) for pair, way in pairs], columns=["fact_id", "question", "way"])


def has_form(way: str, question: str, written: str) -> bool:
    """Whether a line has the form of its way: another question, statements, or a chain of at least two statements."""
    if way == PARAPHRASE:
        one = written.count("?") == 1 and written.endswith("?")
        return one and len(written) > 1 and question_key(written) != question_key(question)
    sentences = len(SENTENCE.findall(written))
    return "?" not in written and written.endswith(".") and sentences >= (2 if way == LOGIC else 1)


def judge(rows: pd.DataFrame, subjects: Mapping[str, str]) -> pd.DataFrame:
    """The rows (fact_id, question, way, written, whole) with the columns augmented, parsed and subject_kept.

    `whole` says that the text came to its end. Raises InputError for a fact without a subject.
    """
    for fact_id in rows["fact_id"]:
        if not subjects[fact_id].strip():
            expected = "a subject, because an augmented question must keep it"
            raise InputError("facts", f"fact {fact_id} has no subject", expected, key="subject")
    parsed = [row.whole and has_form(row.way, row.question, row.written) for row in rows.itertuples()]
    made = [
        augmented(row.way, row.question, row.written) if fits else ""
        for fits, row in zip(parsed, rows.itertuples(), strict=True)
    ]
    kept = [folded(subjects[row.fact_id]) in folded(row.written) for row in rows.itertuples()]
    return rows.assign(augmented=made, parsed=parsed, subject_kept=kept)


def gate(judged: pd.DataFrame) -> pd.DataFrame:
    """For each way of the judged rows: facts (how many), the shares parsed and subject_kept, and passed."""
    found = judged.groupby("way", sort=False).agg(
        facts=("fact_id", "size"), parsed=("parsed", "mean"), subject_kept=("subject_kept", "mean")
    )
    passed = [all(row[name] >= least for name, least in GATE.items()) for row in found.to_dict("records")]
    return found.assign(passed=passed).reset_index()


def earlier_answers(revisions: pd.DataFrame, revision: int | None) -> dict[str, list[str]]:
    """The answers of each fact before a revision. None stands for the latest one, and then they are all its answers."""
    before = revisions if revision is None else revisions[revisions["revision"] < revision]
    return before.groupby("fact_id")["answer"].agg(list).to_dict()


def flag(
    judged: pd.DataFrame,
    answers: Sequence[str],
    earlier: Mapping[str, Sequence[str]],
    tested: Mapping[str, Collection[str]],
) -> pd.DataFrame:
    """The judged rows with the columns old_inside, new_inside and tested.

    `answers` has the answer that each row is trained on, `earlier` the earlier answers of facts, and `tested` the wordings
    of their questions that are for tests alone. An answer that the question itself holds is not looked for.
    """

    def inside(row: tuple[str, str, str], answer: str) -> bool:
        _, question, written = row
        return folded(answer) in folded(written) and folded(answer) not in folded(question)

    rows = list(judged[["fact_id", "question", "written"]].itertuples(index=False, name=None))
    old = [
        any(inside(row, other) for other in earlier.get(row[0], ()) if folded(other) != folded(answer))
        for row, answer in zip(rows, answers, strict=True)
    ]
    new = [inside(row, answer) for row, answer in zip(rows, answers, strict=True)]
    asks = zip(judged["fact_id"], judged["augmented"], strict=True)
    found = [question_key(text) in {question_key(other) for other in tested.get(fact, ())} for fact, text in asks]
    return judged.assign(old_inside=old, new_inside=new, tested=found)


def usable(rows: pd.DataFrame) -> pd.Series:
    """Which rows may be trained on (bool)."""
    return rows["parsed"] & rows["subject_kept"] & ~rows["new_inside"] & ~rows["tested"]


def count(rows: pd.DataFrame, gated: pd.DataFrame) -> pd.DataFrame:
    """A row per way: who made its rows, the gate's figures, and how many rows have each flag, agree, and are usable.

    `gated` is empty where no model wrote anything, and then the gate's figures are NaN. `agrees` is NaN where no model was
    asked.
    """
    marked = rows.assign(agrees=rows["agrees"].astype("boolean"), usable=usable(rows))
    numbers = {name: (name, lambda told: told.sum(min_count=1)) for name in (*FLAGS, "agrees", "usable")}
    counts = marked.groupby("way", sort=False).agg(made_by=("made_by", "first"), questions=("way", "size"), **numbers)
    figures = gated.set_index("way").reindex(columns=["facts", *GATE, "passed"]).add_prefix("gate_")
    return counts[["made_by"]].join(figures).join(counts.drop(columns="made_by")).reset_index()


def read_augmented(path: object) -> pd.DataFrame:
    """The augmented rows of a Parquet file.

    Raises InputError, with row and key, for what no rule here writes, such as a row to train on that asks nothing.
    """
    rows = read_parquet(str(path), "augmented questions", AUGMENTED_COLUMNS)
    refuse(rows, lacking(rows["fact_id"], is_id), path, "fact_id", "16 hex digits")
    refuse(rows, lacking(rows["question"], is_text), path, "question", "a text that is not empty")
    for key, known in (("way", (*TITLES,)), ("made_by", SOURCES)):
        refuse(rows, ~rows[key].isin(known), path, key, f"one of {', '.join(known)}")
    refuse(rows, lacking(rows["written"], lambda value: isinstance(value, str)), path, "written", "a text")
    for flag in FLAGS:
        refuse(rows, lacking(rows[flag], _is_boolean), path, flag, "true or false")
    agrees = lacking(rows["agrees"], lambda value: _is_boolean(value) or pd.isna(value))
    refuse(rows, agrees, path, "agrees", "true, false, or null where the parent was not asked")
    asks_nothing = rows["parsed"].astype(bool) & lacking(rows["augmented"], is_text)
    refuse(rows, asks_nothing, path, "augmented", "a text that is not empty")
    return rows


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool | np.bool_)
