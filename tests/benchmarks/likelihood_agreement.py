"""How far `probe.sampled: likelihood` agrees with the draws of a study that has run, and why it does not where it does not.

    PYTHONPATH=scripts python tests/benchmarks/likelihood_agreement.py results/default/seed0 qwen2

Of train facts without a right greedy answer: the categories that the origin's draws gave them, and those of the likelihoods
of the same prompts on the same model, computed here by plain calls of it. docs/likelihood.md has the figures.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from gradual.base_model import load_model, load_tokenizer
from gradual.engines.interface import LIKELIHOOD, SAMPLED, Decoding, Prompt
from gradual.engines.likelihood import GoldAnswers, forced, likelihoods
from gradual.facts import read_facts
from gradual.grading import RULES
from gradual.knowledge import LIKELY, UNKNOWN, WEAKLY
from gradual.knowledge import likelihoods as of_facts
from gradual.layout import probe_folder
from gradual.probing import fact_prompts
from gradual.prompts import BEFORE_ANSWER, ExemplarPool, PromptSettings, renderer, seeded
from gradual.runs import ORIGIN
from gradual.statistics import wilson

ROWS = 64  # prompts of a call


def batches(prompts: list[Prompt], ids: list[list[int]]) -> Iterator[tuple[list[Prompt], list[list[int]]]]:
    """Prompts of equal length, with their token ids."""
    for _, alike in groupby(sorted(zip(prompts, ids, strict=True), key=lambda p: len(p[1])), key=lambda p: len(p[1])):
        rows = list(alike)
        for start in range(0, len(rows), ROWS):
            yield tuple(map(list, zip(*rows[start : start + ROWS], strict=True)))


def compute(model: Any, tokenizer: Any, special: bool, prompts: list[Prompt], decoding: Decoding) -> pd.DataFrame:
    """fact_id, prompt_index, p and p_uncut (without top k) of each prompt's gold answer, and the tokens that it takes."""
    import torch

    read = GoldAnswers(tokenizer, special, decoding)
    found = []
    ids = tokenizer([prompt.text for prompt in prompts], add_special_tokens=special)["input_ids"]
    for asked, tokens in batches(prompts, ids):
        golds = read.of(asked, tokens)
        rows = torch.tensor([[*before, *after] for before, after in zip(tokens, forced(golds), strict=True)])
        with torch.inference_mode():
            logits = model(input_ids=rows).logits[:, len(tokens[0]) - 1 :]
        cut, uncut = (likelihoods(logits, golds, d) for d in (decoding, replace(decoding, top_k=0)))
        found += [
            (prompt.fact_id, prompt.index, p, q, max(0, len(gold.tokens) - 1))
            for prompt, gold, p, q in zip(asked, golds, cut, uncut, strict=True)
        ]
    return pd.DataFrame(found, columns=["fact_id", "prompt_index", "p", "p_uncut", "tokens"])


def likely(table: pd.DataFrame, column: str, samples: int) -> pd.Series:
    """The probability of one right draw or more of each fact."""
    grades = table.assign(kind=LIKELIHOOD, n=samples, right=samples * table[column])
    return of_facts(grades, "right")


def report(
    table: pd.DataFrame, draws: pd.DataFrame, sampled: pd.Series, answers: pd.Series, rule: str, samples: int
) -> None:
    """Print agreement and disagreements. `draws` are the sampled answers, `sampled` the categories that they gave."""
    p = likely(table, "p", samples)
    was, now = sampled[p.index] == WEAKLY, p >= LIKELY
    gold = draws["fact_id"].map(answers)
    pairs = list(zip(draws["text"], gold, strict=True))
    right = np.array([RULES[rule](text, answer) for text, answer in pairs], dtype=bool)
    begins = np.array([text.startswith(answer) for text, answer in pairs], dtype=bool)
    begun = set(draws.loc[begins, "fact_id"])
    n = len(p)

    def line(text: str, value: float, form: str = ",.0f") -> None:
        print(f"{text:<92} {value:>9{form}}")

    share = wilson(int((was == now).sum()), n)
    line("facts without a right greedy answer", n)
    line(
        f"of the same category, % (95% interval {100 * share.low:.1f} to {100 * share.high:.1f})",
        100 * share.value,
        ".1f",
    )
    line(
        "  would be, if all right draws began with the answer's own tokens, %", 100 * np.maximum(p, 1 - p).mean(), ".1f"
    )
    line("  and of two sets of such draws, %", 100 * (p**2 + (1 - p) ** 2).mean(), ".1f")
    line(f"{WEAKLY} by draws", was.sum())
    line(f"{WEAKLY} by likelihood", now.sum())
    line("  expected by the likelihoods (their sum)", p.sum(), ",.1f")
    line("  give or take (standard deviation)", float(np.sqrt((p * (1 - p)).sum())), ",.1f")
    line("  facts with a draw that begins with the answer's text", len(begun))
    line(f"{WEAKLY} by draws, {UNKNOWN} by likelihood", (was & ~now).sum())
    line(
        "  no draw begins with the answer's text: right elsewhere, or in another case",
        (was & ~now & ~p.index.isin(begun)).sum(),
    )
    line("  a draw begins with it", (was & ~now & p.index.isin(begun)).sum())
    line("    expected by chance (sum of their probabilities)", p[~now].sum(), ",.1f")
    line(f"{UNKNOWN} by draws, {WEAKLY} by likelihood", (~was & now).sum())
    line("    expected by chance", (1 - p[now]).sum(), ",.1f")
    line(f"{WEAKLY} by likelihood without top k", (likely(table, "p_uncut", samples) >= LIKELY).sum())
    line("prompts whose gold answer top k makes impossible, %", 100 * (table["p"] == 0).mean(), ".1f")
    line("right draws", int(draws["count"][right].sum()))
    line("  that begin with the answer's text", int(draws["count"][right & begins].sum()))
    line("    expected by the likelihoods, as of the answer's own tokens", samples * table["p"].sum(), ",.1f")
    line("    give or take", float(np.sqrt(samples * (table["p"] * (1 - table["p"])).sum())), ",.1f")
    line("tokens computed after the prompts, likelihoods", table["tokens"].sum())
    line("tokens of the draws", int((draws["count"] * draws["tokens"]).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=Path, help="results/<study>/seed<number> of a study that has run")
    parser.add_argument("model")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="of the study: its probe and scoring")
    parser.add_argument("--facts", type=int, help="at most so many, drawn at random")
    args = parser.parse_args()
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    probe, style = config["probe"], config["probe"]["format"]
    facts = read_facts(args.seed / "facts.parquet")
    folder = args.seed / args.model / probe_folder(ORIGIN)
    sampled = pd.read_parquet(folder / "categories.parquet").set_index("fact_id")["category"]
    unsolved = sampled[sampled.isin([WEAKLY, UNKNOWN])]
    if args.facts and args.facts < len(unsolved):
        unsolved = unsolved.sample(args.facts, random_state=0)
    asked = facts[facts["fact_id"].isin(unsolved.index)]
    draws = pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("generations-*.parquet"))])
    draws = draws[(draws["kind"] == SAMPLED) & draws["fact_id"].isin(unsolved.index)]
    # The prompts of the study's own probe (see probe_facts.py).
    number = int(args.seed.name.removeprefix("seed"))
    about = ("probe", number, 0) if probe["exemplars"] == "per_relation" else ("probe", number, ORIGIN, 0)
    base = args.seed / args.model / "base/base.json"
    model, tokenizer = load_model(base, [], "float32").eval(), load_tokenizer(base)
    groups = fact_prompts(
        asked,
        ExemplarPool(facts, probe["exemplar_split"], "facts"),
        PromptSettings(seeded(*about), probe["shots"], probe["exemplars"]),
        probe["prompts"],
        renderer(style, tokenizer),
        BEFORE_ANSWER[style],
    )
    decoding = Decoding(
        probe["max_new_tokens"], tuple(probe["stop"]), probe["samples"], probe["temperature"], probe["top_k"]
    )
    prompts = [prompt for group in groups for prompt in group]
    table = compute(model, tokenizer, style == "plain", prompts, decoding)
    answers = asked.set_index("fact_id")["answers"].str[0]
    report(table, draws, unsolved, answers, config["scoring"], probe["samples"])


if __name__ == "__main__":
    main()
