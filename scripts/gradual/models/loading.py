"""Load base models and their tokenizers, and merge the adapters of a state into the weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError, out_of_memory
from gradual.ground.libraries import import_libraries
from gradual.models.adapters import merge_adapter
from gradual.models.handle import model_folder
from gradual.models.tokenizer_check import check_tokenizer


def load_tokenizer(handle: Path) -> Any:
    """The tokenizer of a base model: that of its tokenizer.json, with the special tokens and chat templates beside it.

    AutoTokenizer would choose a class by the model's architecture, and some classes have pre-tokenizers and normalisers of
    their own. Raises InputError where the tokenizer cannot be loaded, or is not that of the file.
    """
    import_libraries()
    from transformers import PreTrainedTokenizerFast

    folder = model_folder(handle)
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    except Exception as error:  # tokenizers raises plain ones
        cause = " ".join(str(error).split())
        raise InputError(folder, f"has a tokenizer that cannot be loaded ({cause})", "the model's tokenizer") from error
    check_tokenizer(tokenizer, folder / "tokenizer.json")
    return tokenizer


def load_model(handle: Path, adapters: Sequence[Path], dtype: str, device: str | None = None) -> Any:
    """The base model with the adapter of each folder merged into it, in order.

    It lies on `device`; by default on the GPU, or on the CPU where there is no GPU. Raises InputError where the model
    cannot be loaded or lacks weights, or where an adapter does not fit it.
    """
    import_libraries()
    import torch
    from transformers import AutoModelForCausalLM

    folder = model_folder(handle)
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except (KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        cause = " ".join(str(error).split())
        raise InputError(folder, f"cannot be loaded ({cause})", "weights that fit config.json") from error
    if missing := sorted(found["missing_keys"]):  # transformers only warns, and fills them with random numbers
        raise InputError(
            folder, f"lacks {len(missing)} weights", "all weights of the model in config.json", key=missing[0]
        )
    for adapter in adapters:
        model = merge_adapter(model, adapter)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
