"""Base models that are pretrained here: their tokenizer, their architecture and their training."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import read_json, write_json
from gradual.ground.libraries import import_libraries
from gradual.training.callbacks import last_checkpoint, log_progress, seal_checkpoints, stop_at_bad_loss
from gradual.training.equal_bits import equal_products

SAVE_STEPS = 500  # between two checkpoints of a pretraining
END_OF_TEXT = "<|endoftext|>"
BEGIN_OF_TEXT = "<|begin_of_text|>"


@dataclass(frozen=True)
class ModelSettings:
    """The sizes of a model that is pretrained here: keys of the config's section models."""

    architecture: str  # qwen2 | llama
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int


@dataclass(frozen=True)
class PretrainingSettings:
    """How a model is pretrained: the keys of the config's section pretraining."""

    vocabulary: int
    row_tokens: int
    batch_rows: int
    learning_rate: float
    min_learning_rate_ratio: float
    weight_decay: float
    adam_beta2: float
    warmup_steps: int


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


def new_model(model: ModelSettings, tokenizer: Any) -> Any:
    """A model of the wanted architecture with random weights, from the transformers configs of Qwen2 and Llama 3."""
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    config_class, model_class = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}[
        model.architecture
    ]
    return model_class(
        config_class(
            vocab_size=len(tokenizer),
            hidden_size=model.hidden_size,
            intermediate_size=model.intermediate_size,
            num_hidden_layers=model.layers,
            num_attention_heads=model.heads,
            num_key_value_heads=model.key_value_heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation="eager",  # the others differ between processors
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


def pretrain(documents: list[str], model: ModelSettings, settings: PretrainingSettings, seed: int, folder: Path) -> Any:
    """Train a base model on the documents, one pass, and return (model, tokenizer, training log).

    The weights are float32 numbers that float16 holds exactly, so that a shipped model takes half the space. They
    depend on nothing but the arguments (`equal_bits`). Resumes from the last checkpoint in `folder`.
    """
    import_libraries()
    import torch
    from transformers import Trainer, TrainingArguments, set_seed

    set_seed(seed)
    tokenizer = train_tokenizer(documents, settings.vocabulary, model.architecture)
    rows = torch.from_numpy(pack(documents, tokenizer, settings.row_tokens))
    if len(rows) < settings.batch_rows:  # the Trainer would do no step and save random weights
        problem = f"the corpus has {len(rows)} rows of {settings.row_tokens} tokens"
        expected = f"at least a batch of {settings.batch_rows} (more corpus.words, or fewer row_tokens or batch_rows)"
        raise InputError("pretraining", problem, expected, key="batch_rows")
    network = new_model(model, tokenizer)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=settings.batch_rows,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta2=settings.adam_beta2,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": settings.min_learning_rate_ratio},
        max_grad_norm=1.0,
        optim="adamw_torch_fused",  # the others take square roots that differ between processors
        seed=seed,
        data_seed=seed,
        logging_steps=100,
        logging_nan_inf_filter=False,
        save_steps=SAVE_STEPS,
        save_total_limit=1,
        report_to=[],
        use_cpu=True,  # the weights would be others on a GPU
        dataloader_drop_last=True,
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_pin_memory=False,
    )
    trainer = Trainer(
        model=network,
        args=arguments,
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
    )
    log_progress(trainer)
    stop_at_bad_loss(trainer, "pretraining")
    seal_checkpoints(trainer)
    with equal_products():
        trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    network.half().float()
    if not all(parameter.isfinite().all() for parameter in network.parameters()):  # since the last line of the log
        expected = "finite ones (try a lower rate)"
        raise InputError("pretraining", "the model's weights are not finite", expected, key="learning_rate")
    return network, tokenizer, trainer.state.log_history


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a pretrained model and its tokenizer into a folder, the weights as float16, which holds them exactly."""
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = folder / "config.json"
    write_json(read_json(config, "a model's config") | {"dtype": "float32"}, config)  # of its computations
