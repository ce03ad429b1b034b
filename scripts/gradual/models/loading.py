"""Load base models and their tokenizers, and merge the adapters of a state into the weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError, out_of_memory
from gradual.ground.libraries import import_libraries
from gradual.models.adapters import merge_adapter
from gradual.models.folder import check_config, text_config
from gradual.models.handle import model_folder
from gradual.models.tokenizer_check import check_tokenizer


def load_tokenizer(handle: Path) -> Any:
    """The tokenizer of a base model: that of its tokenizer.json, with the special tokens and chat templates beside it.

    AutoTokenizer would choose a class by the model's architecture, and some classes have pre-tokenizers and normalisers of
    their own. Raises InputError where the tokenizer cannot be loaded, is not that of the file, or has more tokens than the
    model.
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
    rows = text_config(check_config(folder / "config.json")).get("vocab_size", len(tokenizer))
    if (most := max(tokenizer.get_vocab().values())) >= rows:
        problem = (
            f"has the token {tokenizer.convert_ids_to_tokens(most)!r} with id {most}, but the model has {rows} tokens"
        )
        expected = "a tokenizer of this model (or a model with a larger embedding: resize_token_embeddings)"
        raise InputError(folder / "tokenizer.json", problem, expected)
    return tokenizer


def load_model(handle: Path, adapters: Sequence[Path], dtype: str, device: str | None = None) -> Any:
    """The base model with the adapter of each folder merged into it, in order.

    It lies on `device`; by default on the GPU, or on the CPU where there is no GPU. Raises InputError where the model
    cannot be loaded, where its weights are not exactly those of its architecture or are not finite, or where an adapter
    does not fit it.
    """
    import_libraries()
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    folder = model_folder(handle)
    kind = check_config(folder / "config.json")["model_type"]
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        problem = f"cannot be loaded, because transformers has no causal language model of the type {kind}"
        raise InputError(folder, problem, "a decoder, such as Llama or Qwen2")
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            generation_config=GenerationConfig(),  # the config of the study sets the decoding, not the folder
            output_loading_info=True,
        )
    except Exception as error:  # each architecture raises its own
        if out_of_memory(error) or isinstance(error, ImportError):
            raise
        cause = " ".join(str(error).split())
        raise InputError(folder, f"cannot be loaded ({cause})", "weights that fit config.json") from error
    _check_weights(folder, model, found)
    for adapter in adapters:
        model = merge_adapter(model, adapter)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def _check_weights(folder: Path, model: Any, found: Mapping[str, set[str]]) -> None:
    """Raise InputError unless the folder had exactly the weights of the model, all finite; `found` is what loading told.

    transformers only warns. It fills what is missing with random numbers, leaves out what it has no place for, and unties
    weights that differ. It knows the buffers that older folders have besides.
    """
    import torch

    for kind, said in (("missing_keys", "lacks"), ("unexpected_keys", "has no place for")):
        if names := sorted(found[kind]):
            expected = "exactly the weights of the model in config.json"
            raise InputError(folder, f"{said} {len(names)} weights", expected, key=names[0])
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if model.config.get_text_config().tie_word_embeddings and head is not None and head.weight is not embedding.weight:
        problem = "is true, but the weights of the output differ from those of the embedding"
        raise InputError(folder / "config.json", problem, "false", key="tie_word_embeddings")
    for name, tensor in model.state_dict().items():
        if (
            tensor.is_floating_point()
            and tensor.numel()
            and not all(bound.isfinite() for bound in torch.aminmax(tensor))
        ):
            expected = f"finite weights, in {tensor.dtype} too (models.<name>.dtype)"
            raise InputError(folder, "has weights that are not finite", expected, key=name)
