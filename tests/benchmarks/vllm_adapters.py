"""What an epoch's adapter costs vLLM: merged into the loaded weights (what the engine does), or as LoRA beside them.

    .venv-probe/bin/python tests/benchmarks/vllm_adapters.py 64 2
    .venv-probe/bin/python tests/benchmarks/vllm_adapters.py 512 8
    .venv-probe/bin/python tests/benchmarks/vllm_adapters.py 64 2 --tokens

For a random model of that width and number of layers; medians of seconds are printed, by the clock and of the process.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "unit")]

import tiny  # noqa: E402
from gradual.models.loading import load_model  # noqa: E402
from gradual.probe.answers import Asking, Decoding, Deployment  # noqa: E402
from gradual.probe.engines.transformers import TransformersEngine  # noqa: E402
from gradual.probe.engines.vllm import VllmEngine  # noqa: E402
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain  # noqa: E402
from gradual.probe.questions import fact_prompts  # noqa: E402

RANK = 64
DECODING = Decoding(16, ("\n",))
SAMPLING = Decoding(16, ("\n",), samples=16, temperature=0.5, top_k=40)


def new_adapter(base: Path, folder: Path, seed: int) -> Path:
    """A random adapter of all linear layers."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(load_model(base, [], "float32"), config).save_pretrained(folder)
    return folder


def prompts(exemplars: str, per_fact: int, per_split: int) -> list:
    table = tiny.facts(2, per_split)
    asked = table[table["split"] == "train"]
    pool = ExemplarPool(table, "train", "facts")
    return list(fact_prompts(asked, pool, PromptSettings(0, 4, exemplars), per_fact, plain))


class Clock:
    """Seconds by the clock and of the process, by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def run(self, what: str, work) -> object:
        begun = time.monotonic(), time.process_time()
        result = work()
        self.seconds[what].append((time.monotonic() - begun[0], time.process_time() - begun[1]))
        return result

    def show(self) -> None:
        for what, times in self.seconds.items():
            wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"{what}: {wall:.2f} s, {cpu:.2f} s of CPU (median of {len(times)})")


def show_tokens(engine: VllmEngine, facts: int) -> None:
    """Print how many tokens are computed with either kind of exemplars, greedy answers alone or 16 samples too."""
    for exemplars in ("per_fact", "per_relation"):
        for sampled in (False, True):
            before = engine.usage.prompt_tokens, engine.usage.computed_tokens, engine.usage.answer_tokens
            asked = prompts(exemplars, 4, facts)
            list(engine.answer(asked, SAMPLING if sampled else DECODING, Asking(lambda _: True)))
            after = engine.usage.prompt_tokens, engine.usage.computed_tokens, engine.usage.answer_tokens
            given, computed, answered = (b - a for a, b in zip(before, after, strict=True))
            print(f"{exemplars}, sampled {sampled}: {given} prompt tokens, {computed} computed, {answered} answered")
            engine._vllm.reset_prefix_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("width", type=int)
    parser.add_argument("layers", type=int)
    parser.add_argument("--facts", type=int, default=32, help="train facts of each of two relations")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", action="store_true", help="only count the tokens computed")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    heads = max(2, args.width // 64)
    tiny.SIZES.update(hidden_size=args.width, intermediate_size=args.width * 3, layers=args.layers, heads=heads)
    base = tiny.base_model(folder / "base", scale=6.0 if args.width < 128 else 2.0)
    adapters = [new_adapter(base, folder / str(seed), seed) for seed in (1, 2)]
    asked, clock = prompts("per_fact", 2, args.facts), Clock()

    engine = clock.run("start", lambda: VllmEngine(base, [], True, "float32", Deployment()))
    if args.tokens:
        show_tokens(engine, args.facts)
        return
    for number in range(args.rounds):
        clock.run("merge and reload", lambda n=number: engine.use(adapters[n % 2]))
        clock.run("answers, merged", lambda: list(engine.answer(asked, DECODING)))
    engine.close()

    import vllm
    from vllm.lora.request import LoRARequest

    vllm.EngineArgs = partial(vllm.EngineArgs, enable_lora=True, max_loras=2, max_lora_rank=RANK)
    engine = clock.run("start for LoRA", lambda: VllmEngine(base, [], True, "float32", Deployment()))
    add = engine._vllm.add_request
    for number in range(args.rounds):
        request = LoRARequest(f"epoch-{number}", number + 1, str(adapters[number % 2]))
        clock.run("load LoRA", lambda r=request: engine._vllm.add_lora(r))
        engine._vllm.add_request = partial(add, lora_request=request)
        engine._vllm.reset_prefix_cache()
        clock.run("answers, LoRA", lambda: list(engine.answer(asked, DECODING)))
        engine._vllm.remove_lora(number + 1)
    engine._vllm.add_request = add
    engine.close()
    clock.show()
    print(f"{sum(map(len, asked))} prompts; the transformers engine for comparison:")
    reference = TransformersEngine(load_model(base, [adapters[0]], "float32"), engine.tokenizer, True)
    clock = Clock()
    for _ in range(args.rounds):
        clock.run("answers, transformers", lambda: list(reference.answer(asked, DECODING)))
    clock.show()


if __name__ == "__main__":
    main()
