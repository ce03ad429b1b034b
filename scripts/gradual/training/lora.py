"""LoRA fine-tuning of a state with peft and the transformers Trainer, on one or several ranks."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.models.adapters import with_adapter
from gradual.training.batches import BLANK, EpochBatches, micro_rows
from gradual.training.callbacks import last_checkpoint, log_progress, seal_checkpoints, stop_at_bad_loss
from gradual.training.checkpoints import checkpoints, ends_epoch, keep_checkpoints, steps, stop_if_unfinished
from gradual.training.gpu_memory import needs_checkpointing
from gradual.training.objectives import OBJECTIVES, Objective, trainer_class
from gradual.training.ranks import from_first, rank, ranks
from gradual.training.settings import ALL_LINEAR, TrainingSettings
from gradual.training.texts import Row
from gradual.training.trackers import PROJECT, Tracking


@dataclass(frozen=True)
class Training:
    """The inputs of a LoRA training besides the model.

    `rows` are the tokens of the examples. The first `trained` rows are those to train on. The others are the replay pool,
    and each epoch draws the share `ratio` of it. Checkpoints go to `folder`. `own` are the objective's own settings.
    `tracking` says where the training is shown, and changes no result.
    """

    rows: Sequence[Row]
    trained: int
    ratio: float
    settings: TrainingSettings
    seed: int
    folder: Path
    own: Mapping[str, Any] = field(default_factory=dict)
    tracking: Tracking = Tracking()


def attach_adapter(model: Any, parent: Path | None, settings: TrainingSettings) -> Any:
    """The model with a trainable LoRA adapter. It is the parent's adapter or, without a parent, a new one.

    Raises InputError where the model has no linear module of a target's name, because peft would leave this target out.
    """
    from peft import LoraConfig, get_peft_model

    if parent:
        return with_adapter(model, parent, trainable=True)
    linear = _linear_modules(model)
    if absent := sorted({*settings.targets} - {ALL_LINEAR, *linear}):
        expected = f"names of the model's linear modules ({', '.join(linear)}) or {ALL_LINEAR}"
        raise InputError("training", f"the model has no linear module {', '.join(absent)}", expected, key="targets")
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=ALL_LINEAR if ALL_LINEAR in settings.targets else list(settings.targets),
        ),
    )


def _linear_modules(model: Any) -> list[str]:
    """The names of the linear modules of a model's layers, sorted."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    kept = model.get_output_embeddings()
    found = [
        name for name, module in model.named_modules() if isinstance(module, Linear | Conv1D) and module is not kept
    ]
    return sorted({name.rpartition(".")[2] for name in found})


def train_adapter(model: Any, training: Training) -> tuple[list[Path], list[dict[str, float]]]:
    """Train the model's adapter. Returns the checkpoint folder of each epoch, and the loss curve.

    `model` is a PeftModel. Every rank calls this function. It resumes from the last checkpoint in the training's folder,
    with the same result, even if the number of ranks has changed. Without dropout, the result does not depend on the number
    of ranks, except for rounding. With dropout, results with different numbers of ranks differ like results with different
    seeds, because each rank draws its own dropout masks. Raises InputError if a text is too long, the loss is not finite or
    the adapter has not changed, and EndedWithNotice after SIGTERM.
    """
    import torch

    settings, folder = training.settings, training.folder
    objective = OBJECTIVES[settings.objective](training.own)
    text, limit = max(map(_longest_text, training.rows)), model.config.get_text_config().max_position_embeddings
    if text > limit:
        raise InputError("training", f"a text of {text} tokens", f"at most the model's {limit} (or shorter facts)")
    objective.check(model, training.rows)
    per_rank = micro_rows(settings.batch, settings.micro_batch, ranks())
    pool = len(training.rows) - training.trained
    batches = EpochBatches(training.trained, pool, training.ratio, training.seed, per_rank, rank(), ranks())
    before = {n: p.detach().cpu().clone() for n, p in model.named_parameters() if p.requires_grad}
    longest = max(len(row["input_ids"]) for row in training.rows)
    checkpointing = _exceeds_memory(model, settings, per_rank, longest)
    training.tracking.prepare()
    trainer = _trainer(model, training, objective, batches, _arguments(model, training, per_rank, checkpointing))
    log_progress(trainer)
    stop_at_bad_loss(trainer, "training")
    seal_checkpoints(trainer)
    keep_checkpoints(trainer, folder)
    trainer.train(resume_from_checkpoint=from_first(last_checkpoint(folder) if rank() == 0 else None))
    stop_if_unfinished(trainer)
    if all(torch.equal(p.detach().cpu(), before[n]) for n, p in model.named_parameters() if n in before):
        raise InputError("training", "the adapter has not changed", "a learning_rate and facts that change it")
    found = checkpoints(folder) if rank() == 0 else []
    kept = [checkpoint for checkpoint in found if ends_epoch(steps(checkpoint), trainer.state, settings.epochs)]
    if rank() == 0 and len(kept) != settings.epochs:
        raise InputError(folder, f"{len(kept)} epochs' checkpoints", f"one per epoch ({settings.epochs})")
    return kept, [entry for entry in trainer.state.log_history if "loss" in entry]


def _arguments(model: Any, training: Training, rows: int, checkpointing: bool) -> Any:
    """The Trainer's arguments, for micro batches of `rows` rows, with or without gradient checkpointing."""
    import torch
    from transformers import TrainingArguments

    settings, gpu = training.settings, torch.cuda.is_available()
    # Older versions of transformers, as vLLM needs them, have another name for it.
    renamed = "activation_checkpointing" in {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if renamed else "gradient_checkpointing"
    arguments = TrainingArguments(
        output_dir=str(training.folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=settings.batch // (rows * ranks()),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta2=settings.adam_beta2,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_ratio,  # a value below 1 is a share of all steps
        bf16=gpu and model.dtype == torch.bfloat16,
        seed=training.seed,
        data_seed=training.seed,
        save_strategy="no",  # keep_checkpoints saves
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=list(training.tracking.trackers),
        run_name=training.tracking.run,
        project=PROJECT,
        use_cpu=not gpu,
        ddp_backend="gloo" if not gpu and ranks() > 1 else None,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        disable_tqdm=not sys.stderr.isatty(),
        **{name: checkpointing},
    )
    if ranks() == 1:
        arguments._n_gpu = min(arguments.n_gpu, 1)  # otherwise the Trainer uses all GPUs and multiplies the batch
    return arguments


def _longest_text(row: Row) -> int:
    """The number of tokens of a row's longest text. A row of joined texts has a token's position in its text."""
    return max(row["positions"]) + 1 if "positions" in row else len(row["input_ids"])


def _exceeds_memory(model: Any, settings: TrainingSettings, rows: int, tokens: int) -> bool:
    """Whether micro batches of at most so many rows, of at most `tokens` tokens, need gradient checkpointing to fit into
    the memory of this rank's GPU. False without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return False
    memory = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    dtype = str(model.dtype).removeprefix("torch.")
    return needs_checkpointing(model.config.to_dict(), settings, rows, tokens, dtype, ranks(), memory)


def _trainer(model: Any, training: Training, objective: Objective, batches: EpochBatches, arguments: Any) -> Any:
    """A Trainer of the model on the training's rows. It reads the rows in the order of `batches`."""
    from torch.utils.data import DataLoader

    class EpochLoader(DataLoader):
        def set_epoch(self, epoch: int) -> None:
            self.batch_sampler.set_epoch(epoch)

    class EpochTrainer(trainer_class(objective)):  # type: ignore[misc]
        def get_train_dataloader(self) -> EpochLoader:
            """Replaces accelerate's loader, which gives rows of the epoch's beginning again to a rank without rows."""
            return EpochLoader(
                self.train_dataset,
                batch_sampler=batches,
                collate_fn=objective.pad,
                pin_memory=self.args.dataloader_pin_memory,
            )

        def floating_point_ops(self, inputs: Any) -> int:
            """Replaces a count that takes a tenth of a small model's step and that nothing reads."""
            return 0

        def _save_rng_state(self, output_dir: str) -> None:
            """Waits for all ranks, because trainer_state.json is written next and marks the checkpoint as complete."""
            super()._save_rng_state(output_dir)
            self.accelerator.wait_for_everyone()

    # Nothing reads a model card, and peft would compile its template anew for each.
    model.create_or_update_model_card = lambda folder: None
    return EpochTrainer(model=model, args=arguments, train_dataset=[*training.rows, BLANK])
