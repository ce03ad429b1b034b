"""Which facts a study's limits leave without a possible right answer.

An answer has at most `max_new_tokens` tokens, and a stop string ends it. A fact whose gold answers are all longer, or hold
a stop string, is Unknown because of the limits, and not because of the model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradual.data.question_sets import QUESTION_SETS
from gradual.ground.errors import InputError
from gradual.probe.prompts import PromptFormat, prompt_format

CAUSES = ("too_long", "holds_stop", "empty")
QUESTION = "What is it?"  # the length of an answer does not depend on its question
SHOWN, SHOWN_CHARACTERS = 3, 60  # gold answers that an error names, and the characters that it shows of each


@dataclass(frozen=True)
class Limits:
    """The limits of an answer. The fields are keys of the config's section probe."""

    format: str
    template_arguments: Mapping[str, Any]
    stop: tuple[str, ...]
    max_new_tokens: int


def lengths(answers: Sequence[str], tokenizer: Any, written: PromptFormat) -> list[int]:
    """The number of tokens that each answer adds to a prompt."""
    prompt = written.prompt([], QUESTION)
    texts = [prompt, *(prompt + written.answer(answer) for answer in answers)]
    before, *whole = map(len, tokenizer(texts, add_special_tokens=False)["input_ids"])
    return [tokens - before for tokens in whole]


def needed_tokens(facts: pd.DataFrame, golds: pd.Series, tokenizer: Any, limits: Limits) -> pd.DataFrame:
    """What each fact of the question sets needs, by fact_id, in the order of the facts.

    `golds` maps fact_id to the gold answers (see `golds.golds`). Columns: split, gold (the shortest one that holds no stop
    string, else the shortest one), needed (its tokens; infinite if it holds a stop string or there is none), and a boolean
    column for each of CAUSES. A cause is true if the fact cannot be answered and the cause concerns one of its gold
    answers.
    """
    asked = facts[facts["split"].isin(QUESTION_SETS)].set_index("fact_id")[["split"]]
    written = prompt_format(limits.format, limits.template_arguments, tokenizer)
    each = golds.loc[asked.index].explode().dropna().rename("gold").reset_index()
    each["tokens"] = lengths(each["gold"], tokenizer, written)
    each["holds_stop"] = [any(stop in written.answer(gold) for stop in limits.stop) for gold in each["gold"]]
    each["too_long"] = each["tokens"] > limits.max_new_tokens
    each["needed"] = each["tokens"].where(~each["holds_stop"], math.inf)
    by_fact = each.sort_values(["needed", "tokens"], kind="stable").groupby("fact_id")
    found = asked.join(by_fact[["gold", "needed"]].first()).join(by_fact[["too_long", "holds_stop"]].any())
    found = found.fillna({"gold": "", "needed": math.inf})
    never = found["needed"] > limits.max_new_tokens
    found["empty"] = found["gold"] == ""
    return found.assign(**{cause: never & found[cause].eq(True) for cause in CAUSES})


def count(needed: pd.DataFrame) -> pd.DataFrame:
    """For each split, the facts, those without a possible answer by cause, and `never`, those with any of the causes."""
    causes = needed[list(CAUSES)]
    counted = causes.assign(split=needed["split"], facts=1, never=causes.any(axis=1)).groupby("split", sort=False).sum()
    return counted[["facts", *CAUSES, "never"]].reset_index()


def worst_split(counts: pd.DataFrame, share: float) -> pd.Series | None:
    """The row of the split with the largest share of facts without a possible answer, if that is larger than `share`."""
    shares = counts["never"] / counts["facts"]
    return counts.loc[shares.idxmax()] if shares.max() > share else None


def check(needed: pd.DataFrame, limits: Limits, share: float, file: object) -> None:
    """Raise InputError if a split has a larger share of facts without a possible answer than `share`."""
    n = worst_split(count(needed), share)
    if n is None:
        return
    worst = n["split"]
    never = needed[(needed["split"] == worst) & needed[list(CAUSES)].any(axis=1)]
    examples = ", ".join(
        f"{gold[:SHOWN_CHARACTERS]!r} ({'holds a stop string' if math.isinf(tokens) else f'{tokens:.0f} tokens'})"
        for gold, tokens in never.loc[never["gold"] != "", ["gold", "needed"]].head(SHOWN).itertuples(index=False)
    )
    suffices = enough(needed, share)
    longer = (
        f"probe.max_new_tokens: {suffices:.0f} or more" if math.isfinite(suffices) else "other strings in probe.stop"
    )
    raise InputError(
        file,
        f"{n['never']} of {n['facts']} {worst} facts have no gold answer that probe.max_new_tokens"
        f" ({limits.max_new_tokens}) and probe.stop allow: {n['too_long']} too long, {n['holds_stop']} with a stop string,"
        f" {n['empty']} without a visible character; such as {examples}",
        f"at most {share:.0%} of a split (probe.unanswerable); set {longer}, or a larger share",
        key="answers",
    )


def enough(needed: pd.DataFrame, share: float) -> float:
    """The least max_new_tokens with which no split has a larger share of facts without a possible answer.

    `share` is less than 1. The result is infinite if no length suffices.
    """
    by_split = (sorted(tokens, reverse=True) for _, tokens in needed.groupby("split")["needed"])
    return max(tokens[math.floor(share * len(tokens))] for tokens in by_split)
