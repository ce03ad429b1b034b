"""How much faster the probe is than transformers' `generate(num_return_sequences=16)`, on the same prompts, in one run.

    python tests/benchmarks/probe_speed.py results/default/seed0 qwen2

Both give one greedy and 16 sampled answers per prompt (temperature 0.5, top-k 40, stop at the line's end); `generate` gets
left-padded batches of the size that is fastest for it. Rounds alternate; medians are printed, and a ratio.
"""

import argparse
import statistics
import time
from pathlib import Path

from gradual.base_model import load_model, load_tokenizer
from gradual.engines.interface import Asking, Decoding, Prompt
from gradual.engines.transformers import TransformersEngine
from gradual.facts import read_facts
from gradual.probing import fact_prompts
from gradual.prompts import ExemplarPool, PromptSettings, plain


def by_generate(model, tokenizer, prompts: list[Prompt], batch: int) -> None:
    """The peers' way: batches of prompts, a greedy call and a call for 16 samples each."""
    import torch

    for start in range(0, len(prompts), batch):
        texts = [prompt.text for prompt in prompts[start : start + batch]]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left").to(model.device)
        options = {"max_new_tokens": 16, "stop_strings": ["\n"], "tokenizer": tokenizer}
        with torch.inference_mode():
            model.generate(**inputs, **options, do_sample=False)
            model.generate(**inputs, **options, do_sample=True, temperature=0.5, top_k=40, num_return_sequences=16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=Path, help="results/<study>/seed<number> of a study that has run")
    parser.add_argument("model")
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    facts = read_facts(args.seed / "facts.parquet")
    base = args.seed / args.model / "base/base.json"
    asked = facts[facts["split"] == "train"].sample(args.facts, random_state=0).sort_values("relation")
    pool = ExemplarPool(facts, "train", "facts")
    groups = list(fact_prompts(asked, pool, PromptSettings(0, 4, "per_fact"), 10, plain))
    prompts = [prompt for group in groups for prompt in group]
    tokenizer = load_tokenizer(base)
    model = load_model(base, [], "float32")
    engine = TransformersEngine(load_model(base, [], "float32"), tokenizer, True)
    decoding = Decoding(16, ("\n",), samples=16, temperature=0.5, top_k=40)
    ways = {f"generate, batches of {b}": lambda b=b: by_generate(model, tokenizer, prompts, b) for b in (16, 64)}
    ways["probe, every prompt sampled"] = lambda: list(engine.answer(groups, decoding, Asking(lambda _: True)))
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, run in ways.items():
            begun = time.monotonic()
            run()
            seconds[way].append(time.monotonic() - begun)
    rate = {way: len(prompts) / statistics.median(times) for way, times in seconds.items()}
    best = max(value for way, value in rate.items() if way.startswith("generate"))
    for way, value in rate.items():
        print(f"{way}: {value:.1f} prompts/s, {value / best:.1f} x the best generate, seconds {seconds[way]}")


if __name__ == "__main__":
    main()
