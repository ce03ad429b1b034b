"""Engines answer prompts. Each implements `interface.Engine`; the config's probe.engine names one."""

from pathlib import Path

from gradual.engines.interface import Engine


def load_engine(name: str, base: Path, adapters: list[Path], prompt_format: str, dtype: str) -> Engine:
    """The engine of that name for a base model with the adapters of a state merged into it, in order."""
    if name == "transformers":
        from gradual.base_model import load_model, load_tokenizer
        from gradual.engines.transformers import TransformersEngine

        # A chat template writes the special tokens itself.
        return TransformersEngine(load_model(base, adapters, dtype), load_tokenizer(base), prompt_format == "plain")
    raise ValueError(f"no engine {name!r}")
