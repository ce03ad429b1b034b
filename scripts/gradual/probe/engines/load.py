"""Engines answer prompts. Each implements `probe.answers.Engine`; the config's probe.engine names one."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from gradual.ground.choices import Choice
from gradual.probe.answers import Deployment, Engine
from gradual.probe.prompts import adds_special_tokens

# Each place is called as `load(base, adapters, special_tokens, dtype, deployment)`; `special_tokens` says whether the
# tokenizer adds its special tokens to a prompt.
ENGINES = Choice(
    "engine",
    {
        "transformers": "gradual.probe.engines.transformers:load",
        "vllm": "gradual.probe.engines.vllm:VllmEngine",
        "vllm_lora": "gradual.probe.engines.vllm_lora:VllmLoraEngine",
    },
)


def load_engine(
    name: str,
    base: Path,
    adapters: Sequence[Path],
    prompt_format: str,
    dtype: str,
    deployment: Deployment | None = None,
) -> Engine:
    """The engine of that name for a base model with the adapters of a state merged into it, in order."""
    return ENGINES[name](base, adapters, adds_special_tokens(prompt_format), dtype, deployment or Deployment())


def add_deployment(parser: ArgumentParser) -> None:
    """The options of a script that say where its engine runs. No result depends on them."""
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    parser.add_argument("--memory-percent", type=int, default=90, help="of a GPU's memory for the engine")
    parser.add_argument("--max-model-length", type=int, default=0, help="tokens; 0 for the model's own")
    parser.add_argument(
        "--memory-mb", type=int, default=0, help="of the machine for the job; 0 for all that it is given"
    )


def deployment(args: Namespace) -> Deployment:
    """The deployment that a script's options describe."""
    return Deployment(args.gpus, args.memory_percent / 100, args.max_model_length, args.memory_mb * 2**20)
