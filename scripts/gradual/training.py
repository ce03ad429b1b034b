"""LoRA fine-tuning of a state on selected facts, through peft and the transformers Trainer."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.adapters import with_adapter
from gradual.errors import InputError
from gradual.prompts import renderer
from gradual.selection import REPLAY, TRAIN, epoch_order, replay_size

IGNORED = -100  # label of tokens without loss


@dataclass(frozen=True)
class Example:
    """A training text: the zero-shot question and its answer; the loss may cover the answer only."""

    question: str
    answer: str


def tokenize(example: Example, tokenizer: Any, style: str, loss_on: str) -> dict[str, list[int]]:
    """Token ids and labels of an example in the probe's own format, ending as an answer ends.

    With `loss_on` "answer", the question's tokens have no loss; with "text", all have (the GL authors' code). Raises
    InputError where the tokenizer has no chat template, or one that tells an answer otherwise than it asks for it.
    """
    prompt = renderer(style, tokenizer)([], example.question)
    if style == "chat":
        told = [{"role": "user", "content": example.question}, {"role": "assistant", "content": example.answer}]
        text = tokenizer.apply_chat_template(told, tokenize=False)
        if not text.startswith(prompt):
            problem = "has a chat template in which an answer does not follow the prompt that asks for it"
            raise InputError(str(tokenizer.name_or_path), problem, "one that writes both alike")
    else:
        text = f"{prompt} {example.answer}\n"
    encoded = tokenizer(text, add_special_tokens=style == "plain", return_offsets_mapping=True)
    ids = encoded["input_ids"]
    starts = [start for start, _ in encoded["offset_mapping"]]
    labels = [
        token if loss_on == "text" or start >= len(prompt) else IGNORED
        for token, start in zip(ids, starts, strict=True)
    ]
    return {"input_ids": ids, "labels": labels}


def pad(rows: list[dict[str, list[int]]], padding: int) -> dict[str, Any]:
    """A batch of rows padded to its longest: input_ids, attention_mask and labels of shape (rows, longest)."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    batch = {
        "input_ids": [row["input_ids"] + [padding] * (longest - len(row["input_ids"])) for row in rows],
        "attention_mask": [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows],
        "labels": [row["labels"] + [IGNORED] * (longest - len(row["labels"])) for row in rows],
    }
    return {name: torch.tensor(values) for name, values in batch.items()}


class EpochSampler:
    """The rows of each epoch: all selected facts and a fresh draw of replayed ones, shuffled (GL 3.2)."""

    def __init__(self, trained: int, pool: int, ratio: float, seed: int) -> None:
        self.trained, self.pool, self.ratio, self.seed, self.epoch = trained, pool, ratio, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self.trained, self.pool, self.ratio, self.epoch, self.seed))

    def __len__(self) -> int:
        return self.trained + replay_size(self.pool, self.ratio)


def accumulation(batch: int, micro_batch: int, ranks: int) -> int:
    """Gradient accumulation steps that give the global batch; InputError where that is no whole number."""
    if batch % (micro_batch * ranks):
        raise InputError(
            "training",
            f"a global batch of {batch} cannot be made of micro batches of {micro_batch} on {ranks} ranks",
            "training.batch to be a multiple of training.micro_batch x ranks",
            key="micro_batch",
        )
    return batch // (micro_batch * ranks)


def examples(selection: pd.DataFrame, facts: pd.DataFrame) -> tuple[list[Example], int, int]:
    """The training texts, selected facts first, and how many are selected and in the replay pool.

    Raises InputError where a selected fact is not a train fact.
    """
    known = facts[facts["split"] == TRAIN].set_index("fact_id")
    missing = [fact_id for fact_id in selection["fact_id"] if fact_id not in known.index]
    if missing:
        raise InputError("selection", f"fact {missing[0]} is not in the split train", "train facts only", key="fact_id")
    ordered = pd.concat([selection[selection["role"] == role] for role in (TRAIN, REPLAY)])
    rows = known.loc[ordered["fact_id"]]
    texts = [Example(q, a[0]) for q, a in zip(rows["question"], rows["answers"], strict=True)]
    trained = int((selection["role"] == TRAIN).sum())
    return texts, trained, len(texts) - trained


def attach_adapter(model: Any, parent: Path | None, settings: dict[str, Any]) -> Any:
    """The model with a trainable LoRA adapter: the parent's, continued, or a new one."""
    from peft import LoraConfig, get_peft_model

    if parent:
        return with_adapter(model, parent, trainable=True)
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=settings["rank"],
            lora_alpha=settings["alpha"],
            lora_dropout=settings["dropout"],
            target_modules=settings["targets"],
        ),
    )


def train_adapter(
    model: Any,
    tokenizer: Any,
    texts: list[Example],
    trained: int,
    pool: int,
    ratio: float,
    settings: dict[str, Any],
    style: str,
    seed: int,
    folder: Path,
) -> tuple[list[Path], list[dict[str, float]]]:
    """Train the model's adapter and return the checkpoint folder of each epoch and the loss curve.

    `model` is a PeftModel; `settings` a run's training settings. Resumes from the last checkpoint in `folder`, to the
    same result. Raises InputError where the loss is not finite or the adapter has not changed.
    """
    import torch
    from transformers import Trainer, TrainingArguments

    from gradual.trainers import last_checkpoint, log_progress, stop_at_bad_loss

    rows = [tokenize(text, tokenizer, style, settings["loss_on"]) for text in texts]
    longest, limit = max(len(row["input_ids"]) for row in rows), model.config.max_position_embeddings
    if longest > limit:
        raise InputError("training", f"a text of {longest} tokens", f"at most the model's {limit} (or shorter facts)")
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["micro_batch"],
        gradient_accumulation_steps=accumulation(
            settings["batch"], settings["micro_batch"], int(os.environ.get("WORLD_SIZE", "1"))
        ),
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        adam_beta2=settings["adam_beta2"],
        lr_scheduler_type="cosine",
        warmup_steps=settings["warmup_ratio"],  # a value below 1 is a share of all steps
        bf16=gpu and model.dtype == torch.bfloat16,
        seed=seed,
        data_seed=seed,
        save_strategy="epoch",
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=[],
        use_cpu=not gpu,
        ddp_backend="gloo" if not gpu and "RANK" in os.environ else None,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        disable_tqdm=not sys.stderr.isatty(),
    )

    if "RANK" not in os.environ:
        arguments._n_gpu = min(arguments.n_gpu, 1)  # else the Trainer spreads, and multiplies, the batch over all GPUs

    class EpochTrainer(Trainer):
        def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
            return EpochSampler(trained, pool, ratio, seed)

    trainer = EpochTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=lambda batch: pad(batch, tokenizer.pad_token_id or tokenizer.eos_token_id),
    )
    log_progress(trainer)
    stop_at_bad_loss(trainer, "training")
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    if all(torch.equal(p.detach().to(before[n].device), before[n]) for n, p in model.named_parameters() if n in before):
        raise InputError("training", "the adapter has not changed", "a learning_rate and facts that train it")
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    if len(checkpoints) != settings["epochs"]:
        raise InputError(folder, f"{len(checkpoints)} checkpoints", f"one per epoch ({settings['epochs']})")
    return checkpoints, [entry for entry in trainer.state.log_history if "loss" in entry]
