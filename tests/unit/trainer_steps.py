"""A Trainer's steps, watched: what it logs, and its gradients."""

from gradual.models.adapters import with_adapter
from gradual.models.loading import load_model
from gradual.training.batches import pad

STEPS = 2  # of half of the rows each


def model_of(trained):
    handle, adapter = trained
    return with_adapter(load_model(handle, [], "float32"), adapter, trainable=True)


def losses_and_gradients(kind, trained, rows, micro_batch, folder, collate=pad):
    """What a Trainer of this kind logs as loss, and has as gradients, in each of its steps."""
    log, gradients = log_and_gradients(kind, trained, rows, micro_batch, folder, collate)
    return [entry["loss"] for entry in log], gradients


def log_and_gradients(kind, trained, rows, micro_batch, folder, collate=pad):
    """What a Trainer of this kind logs, and has as gradients, in each of its steps."""
    from transformers import TrainerCallback, TrainingArguments

    gradients = []

    class Watch(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **_):
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad})

    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=len(rows) // STEPS // micro_batch, max_grad_norm=0, logging_steps=1, report_to=[],
        save_strategy="no", use_cpu=True, remove_unused_columns=False, train_sampling_strategy="sequential",
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = kind(
        model=model_of(trained), args=arguments, train_dataset=rows, data_collator=collate,
        callbacks=[Watch()],
    )  # fmt: skip
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry], gradients
