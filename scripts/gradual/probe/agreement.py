"""How far a probe agrees with the plain path on some of its facts. Every study checks its probes in this way."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.seeding import seeded
from gradual.probe.answers import Prompt
from gradual.probe.generations import GREEDY, SAMPLED
from gradual.probe.plain_generate import PlainGenerate

Rule = Callable[[str, tuple[str, ...]], bool]

SAMPLED_PROMPTS = 3  # prompts of a fact that are sampled again
SHUFFLES = 999
SHOWN = 10  # differing answers that are written to the report
# Another answer agrees if rounding may have chosen its first other token, because its logit is so little below the greedy
# one, as a share of the largest logit. It is some 8 times the rounding of one number, because a model rounds many times.
ROUNDING = {"float32": 1e-5, "float16": 2**-8, "bfloat16": 2**-5}
LEAST_AGREEING = 0.99  # share of the answers; a wrong engine changes most of them
LEAST_CLASSES = 0.8  # share of the facts in the same greedy class
LEAST_P = 1e-6  # the least p-value of the samples; one correct probe in a million has a smaller one


def draw_facts(facts: pd.DataFrame, count: int, *key: object) -> pd.DataFrame:
    """`count` of the facts, drawn by the key, in their order; all facts if there are fewer."""
    drawn = sorted(facts["fact_id"], key=lambda fact_id: seeded("check", *key, fact_id))[:count]
    return facts[facts["fact_id"].isin(drawn)]


def agreement(
    plain: PlainGenerate, groups: Iterable[list[Prompt]], recorded: pd.DataFrame, answers: pd.Series, right: Rule
) -> dict[str, Any]:
    """Compare the recorded generations of some facts with the answers of the plain path to the same prompts.

    `groups` are the facts' prompts; those that were not asked are left out. `recorded` has GENERATION_COLUMNS. `answers`
    maps fact_id to the gold answers. Two answers are equal if their texts and their numbers of tokens are. They agree if
    they are equal or may differ by rounding (ROUNDING). A fact's greedy class says whether all, some or none of its greedy
    answers are right by the scoring rule `right` (output, gold answers).
    """
    keys = ["fact_id", "prompt_index"]
    greedy = recorded[recorded["kind"] == GREEDY].set_index(keys)[["text", "tokens"]].to_dict("index")
    sampled = recorded[recorded["kind"] == SAMPLED].groupby([*keys, "text"])["count"].sum()
    asked = [[prompt for prompt in group if (prompt.fact_id, prompt.index) in greedy] for group in groups]
    rows: list[dict[str, Any]] = []
    prompts = [prompt for group in asked for prompt in group]
    for prompt, ours in zip(prompts, plain.greedy(prompts), strict=True):
        said = greedy[prompt.fact_id, prompt.index]
        equal = (said["text"], said["tokens"]) == (ours.text, ours.tokens)
        row = {"fact_id": prompt.fact_id, "prompt_index": prompt.index, "recorded": said["text"]}
        gap = 0.0 if equal else plain.gap(prompt, said["text"])
        rows.append(row | {"plain": ours.text, "equal": equal, "gap": gap})
    drawn = [[prompt for prompt in group if (prompt.fact_id, prompt.index) in sampled.index] for group in asked]
    prompts = [prompt for group in drawn for prompt in group[:SAMPLED_PROMPTS]]
    counts = [sampled.loc[prompt.fact_id, prompt.index] for prompt in prompts]
    again = plain.sampled(prompts, plain.decoding.samples) if prompts else []
    pairs = [(one, pd.Series(other)) for one, other in zip(counts, again, strict=True)]
    compared = pd.DataFrame(rows, columns=[*keys, "recorded", "plain", "equal", "gap"])
    dtype = str(plain.model.dtype).removeprefix("torch.")
    one, other = (_classes(compared, column, answers, right) for column in ("recorded", "plain"))
    different = compared[~compared["equal"].astype(bool)].drop(columns="equal").sort_values("gap", ascending=False)
    return {
        "facts": len(one),
        "equal_classes": int((one == other).sum()),
        "answers": len(compared),
        "equal_answers": int(compared["equal"].sum()),
        "agreeing_answers": int((compared["gap"] <= ROUNDING[dtype]).sum()),
        "different": different.head(SHOWN).to_dict("records"),
        "sampled_prompts": len(pairs),
        "sampled_p": same_distribution(pairs),
        "dtype": dtype,
    }


def _classes(compared: pd.DataFrame, column: str, answers: pd.Series, rule: Rule) -> pd.Series:
    """The greedy class of each fact: 2 if all of its answers are right, 1 if some are, 0 if none is."""
    golds = compared["fact_id"].map(answers)
    right = [rule(text, gold) for text, gold in zip(compared[column], golds, strict=True)]
    by_fact = pd.Series(right, dtype=bool).groupby(compared["fact_id"])
    return by_fact.any().astype(int) + by_fact.all().astype(int)


def same_distribution(pairs: Sequence[tuple[pd.Series, pd.Series]], seed: int = 0) -> float | None:
    """The p-value for the hypothesis that two ways to sample have the same distribution; None if all shuffles are equal.

    A pair holds, for one prompt, how often each way drew each text; both ways drew the same number of samples. The
    statistic is Pearson's chi-square of homogeneity, summed over the prompts. Few samples are spread over many texts, so
    its distribution comes from shuffles: they exchange the samples of the two ways within each prompt. The tail is that
    of a scaled chi-square distribution with the mean and the variance of the shuffles.
    """
    import torch

    rng = np.random.default_rng(seed)
    found, shuffled = 0.0, np.zeros(SHUFFLES)
    for one, other in pairs:
        both = pd.concat([one, other], axis=1).fillna(0).to_numpy(dtype=int)
        totals = both.sum(1)
        texts = np.repeat(np.arange(len(totals)), totals)
        halves = rng.permuted(np.tile(texts, (SHUFFLES, 1)), axis=1)[:, : both[:, 0].sum()]
        counts = (halves[:, :, None] == np.arange(len(totals))).sum(1)  # (shuffles, texts)
        found += ((2 * both[:, 0] - totals) ** 2 / totals).sum()
        shuffled += ((2 * counts - totals) ** 2 / totals).sum(1)
    mean, variance = shuffled.mean(), shuffled.var()
    if not variance:
        return None
    half, reached = torch.tensor([mean**2, found * mean], dtype=torch.float64) / variance
    return float(torch.special.gammaincc(half, reached))  # the tail of chi-square


def check(found: dict[str, Any], file: object) -> None:
    """Raise InputError for a probe whose answers are not those of the model, up to rounding in the model's type.

    `found` is the result of `agreement`; `file` names what was compared.
    """
    total, agreeing, p = found["answers"], found["agreeing_answers"], found["sampled_p"]
    wrong = "; the engine is wrong for this model"
    if total - agreeing > max(1, (1 - LEAST_AGREEING) * total):
        first = found["different"][0]
        said = f"fact {first['fact_id']}, prompt {first['prompt_index']}: {first['recorded']!r}, not {first['plain']!r}"
        problem = (
            f"{total - agreeing} of {total} greedy answers are not those of generate, even up to rounding ({said})"
        )
        raise InputError(file, problem, f"at least {LEAST_AGREEING:.0%} answers that agree{wrong}")
    if found["equal_classes"] < LEAST_CLASSES * found["facts"]:
        problem = (
            f"only {found['equal_classes']} of {found['facts']} facts are in the same greedy class as with generate"
        )
        raise InputError(
            file, problem, f"at least {LEAST_CLASSES:.0%}, or a type with less rounding (models.<name>.dtype)"
        )
    if p is not None and p < LEAST_P:
        problem = f"the sampled answers have another distribution than those of generate (p = {p:.1g})"
        raise InputError(file, problem, f"p of {LEAST_P:g} or more{wrong}")
