"""Engines answer prompts. Each implements `interface.Engine`; the config's probe.engine names one."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from gradual.engines.interface import Deployment, Engine


def load_engine(
    name: str,
    base: Path,
    adapters: Sequence[Path],
    prompt_format: str,
    dtype: str,
    deployment: Deployment = Deployment(),  # noqa: B008  (frozen)
) -> Engine:
    """The engine of that name for a base model with the adapters of a state merged into it, in order."""
    special_tokens = prompt_format == "plain"  # a chat template writes them itself
    if name == "transformers":
        from gradual.base_model import load_model, load_tokenizer
        from gradual.engines.transformers import TransformersEngine

        return TransformersEngine(load_model(base, adapters, dtype), load_tokenizer(base), special_tokens)
    if name == "vllm":
        from gradual.engines.vllm import VllmEngine

        return VllmEngine(base, adapters, special_tokens, dtype, deployment)
    raise ValueError(f"no engine {name!r}")


def add_deployment(parser: ArgumentParser) -> None:
    """The options of a script that say where its engine runs; nothing that it writes depends on them."""
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    parser.add_argument("--memory-percent", type=int, default=90, help="of a GPU's memory, that the engine may take")
    parser.add_argument("--max-model-length", type=int, default=0, help="tokens; 0 for the model's own")


def deployment(args: Namespace) -> Deployment:
    """The deployment that a script's options say."""
    return Deployment(args.gpus, args.memory_percent / 100, args.max_model_length)
