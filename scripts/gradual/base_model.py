"""Base models: pretrained here on a corpus, or taken from a folder or the hub. `base.json` is the handle of one.

The handle names the folder of the model's files (relative to the handle where they lie beside it) and their digests, so
that whatever depends on a base model depends on one small file, and changes when the model does.
"""

import gc
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gradual.adapters import merge_adapter
from gradual.errors import InputError
from gradual.files import digest, read_json, write_json

HANDLE = "base.json"
SAVE_STEPS = 500  # between two checkpoints of a pretraining
END_OF_TEXT = "<|endoftext|>"
BEGIN_OF_TEXT = "<|begin_of_text|>"
WEIGHTS = "*.safetensors"
MODEL_FILES = ("*.json", WEIGHTS, "*.txt", "*.model", "*.jinja")


def write_handle(handle: Path, folder: Path, source: str) -> None:
    """Write the handle of the base model whose files lie in `folder`, after checking that they can be used.

    Raises InputError where weights are missing, not safetensors, or cut short.
    """
    files = sorted({f for pattern in MODEL_FILES for f in folder.glob(pattern) if f.is_file() and f.name != HANDLE})
    check_model_folder(folder, [f.name for f in files])
    inside = folder.resolve() == handle.parent.resolve()
    write_json(
        {
            "source": source,
            "path": "." if inside else str(folder.resolve()),
            "sha256": {f.name: digest(f) for f in files},
        },
        handle,
    )


def check_model_folder(folder: Path, names: list[str]) -> None:
    """Raise InputError unless the folder holds a config, a tokenizer and whole safetensors weights."""
    from safetensors import SafetensorError, safe_open

    for needed in ("config.json", "tokenizer.json"):
        if needed not in names:
            raise InputError(folder, f"has no {needed}", "a model folder as `save_pretrained` writes it")
    objects = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json")
    for name in sorted(set(objects) & set(names)):
        if not isinstance(read_json(folder / name, "a model's file"), dict):
            raise InputError(folder / name, "holds no object", "a model's file, as `save_pretrained` writes it")
    weights = [name for name in names if name.startswith("model") and name.endswith(".safetensors")]
    if not weights:
        raise InputError(folder, "has no safetensors weights", "model.safetensors (pickled weights are not loaded)")
    for name in weights:
        try:
            with safe_open(folder / name, framework="numpy") as tensors:
                tensors.keys()
        except (SafetensorError, OSError) as error:
            raise InputError(folder / name, f"cannot be read ({error})", "a whole safetensors file") from error


def model_folder(handle: Path) -> Path:
    """The folder of a base model's files; InputError where one that the handle names is missing or cannot be read."""
    named = read_json(handle, "the handle of a base model")
    for key, kind in (("path", str), ("sha256", dict)):
        if not isinstance(named, dict) or not isinstance(named.get(key), kind):
            raise InputError(
                handle, "the key is missing or broken", "a handle as fetch_base and pretrain_base write it", key=key
            )
    path = Path(named["path"])
    folder = path if path.is_absolute() else Path(handle).parent / path
    for name in named["sha256"]:
        if not (folder / name).is_file():
            expected = f"the model's file that {handle} names (restore it, or remove {handle} to make the model again)"
            raise InputError(folder / name, "is missing", expected)
    check_model_folder(folder, list(named["sha256"]))
    return folder


def fetch_base(model: dict[str, Any], handle: Path) -> None:
    """Write the handle of a base model with source folder or hub, downloading the latter at its pinned revision.

    The hub's token comes from its own environment variable (HF_TOKEN); it is never logged.
    """
    if model["source"] == "folder":
        folder = Path(model["path"]).expanduser()
        if not folder.is_dir():
            raise InputError(folder, "no such folder", "a local model folder (models.<name>.path)", key="path")
        write_handle(handle, folder, f"folder {model['path']}")
    else:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model["repo"], revision=model["revision"], allow_patterns=list(MODEL_FILES)))
        write_handle(handle, folder, f"hub {model['repo']}@{model['revision']}")


@cache
def import_libraries() -> None:
    """Import torch and transformers, without the garbage collector: it would search their objects again and again.

    It leaves them alone afterwards, too; they last as long as the process.
    """
    gc.disable()
    import transformers.modeling_utils  # noqa: F401

    gc.freeze()
    gc.enable()


def load_tokenizer(handle: Path) -> Any:
    """The tokenizer of a base model."""
    import_libraries()
    from transformers import AutoTokenizer

    folder = model_folder(handle)
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (KeyError, ValueError, TypeError, OSError) as error:
        cause = " ".join(str(error).split())
        raise InputError(folder, f"has a tokenizer that cannot be loaded ({cause})", "that of the model") from error


def load_model(handle: Path, adapters: Sequence[Path], dtype: str, device: str | None = None) -> Any:
    """The base model with each adapter folder merged into it, in order; on the GPU where there is one, or on `device`."""
    import_libraries()
    import torch
    from transformers import AutoModelForCausalLM

    folder = model_folder(handle)
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except (KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
        if "out of memory" in str(error).lower():
            raise
        cause = " ".join(str(error).split())
        raise InputError(folder, f"cannot be loaded ({cause})", "weights that fit config.json") from error
    if missing := sorted(found["missing_keys"]):  # transformers fills them with random numbers, and only warns
        raise InputError(folder, f"lacks {len(missing)} weights", "all weights of config.json's model", key=missing[0])
    for adapter in adapters:
        model = merge_adapter(model, adapter)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def train_tokenizer(documents: list[str], vocabulary: int, architecture: str) -> Any:
    """A byte-level BPE tokenizer of the documents; Llama's begins every text with its begin-of-text token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    llama = architecture == "llama"
    special = [END_OF_TEXT, BEGIN_OF_TEXT] if llama else [END_OF_TEXT]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    if llama:
        begin = tokenizer.token_to_id(BEGIN_OF_TEXT)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN_OF_TEXT} $A", special_tokens=[(BEGIN_OF_TEXT, begin)]
        )
    tokens = {"bos_token": BEGIN_OF_TEXT} if llama else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
        **tokens,
    )


def new_model(model: dict[str, Any], tokenizer: Any) -> Any:
    """A model of the wanted architecture with random weights, from the transformers configs of Qwen2 and Llama 3."""
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    config_class, model_class = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}[
        model["architecture"]
    ]
    return model_class(
        config_class(
            vocab_size=len(tokenizer),
            hidden_size=model["hidden_size"],
            intermediate_size=model["intermediate_size"],
            num_hidden_layers=model["layers"],
            num_attention_heads=model["heads"],
            num_key_value_heads=model["key_value_heads"],
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def pack(documents: list[str], tokenizer: Any, row_tokens: int) -> Any:
    """The documents one after the other, as rows of `row_tokens` ids, shape (rows, row_tokens); the rest is left out."""
    import numpy as np

    ids: list[int] = []
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    for start in range(0, len(documents), 4096):
        batch = tokenizer(documents[start : start + 4096], add_special_tokens=False)["input_ids"]
        for document in batch:
            ids.extend([*begin, *document, tokenizer.eos_token_id])
    rows = len(ids) // row_tokens
    return np.asarray(ids[: rows * row_tokens], dtype=np.int64).reshape(rows, row_tokens)


def pretrain(documents: list[str], model: dict[str, Any], settings: dict[str, Any], seed: int, folder: Path) -> Any:
    """Train a base model on the documents, one pass, and return (model, tokenizer, training log).

    Resumes from the last checkpoint in `folder`. Deterministic for a seed and a number of threads.
    """
    import_libraries()
    import torch
    from transformers import Trainer, TrainingArguments, set_seed

    from gradual.trainers import last_checkpoint, log_progress, stop_at_bad_loss

    set_seed(seed)
    tokenizer = train_tokenizer(documents, settings["vocabulary"], model["architecture"])
    rows = torch.from_numpy(pack(documents, tokenizer, settings["row_tokens"]))
    if len(rows) < settings["batch_rows"]:  # the Trainer would do no step and save random weights
        problem = f"the corpus has {len(rows)} rows of {settings['row_tokens']} tokens"
        expected = (
            f"at least a batch of {settings['batch_rows']} (more corpus.words, or fewer row_tokens or batch_rows)"
        )
        raise InputError("pretraining", problem, expected, key="batch_rows")
    network = new_model(model, tokenizer)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=settings["batch_rows"],
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        adam_beta2=settings["adam_beta2"],
        warmup_steps=settings["warmup_steps"],
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": settings["min_learning_rate_ratio"]},
        max_grad_norm=1.0,
        seed=seed,
        data_seed=seed,
        logging_steps=100,
        logging_nan_inf_filter=False,
        save_steps=SAVE_STEPS,
        save_total_limit=1,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        dataloader_drop_last=True,
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # else the Trainer spreads, and multiplies, the batch over all GPUs
    trainer = Trainer(
        model=network,
        args=arguments,
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
    )
    log_progress(trainer)
    stop_at_bad_loss(trainer, "pretraining")
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    if not all(parameter.isfinite().all() for parameter in network.parameters()):  # since the last line of the log
        expected = "finite ones (try a lower rate)"
        raise InputError("pretraining", "the model's weights are not finite", expected, key="learning_rate")
    return network, tokenizer, trainer.state.log_history
