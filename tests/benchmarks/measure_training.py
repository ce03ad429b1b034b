"""Measure how many useful tokens a second LoRA training takes, beside the padding of others, in one process.

All train a new adapter of the same model on the same facts, in the same order of steps, with the transformers Trainer and
one loss; they differ in the batches.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.files import write_csv
from gradual.knowledge.selection_roles import TRAIN
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.prompts import prompt_format
from gradual.study.result_files import EXAMPLES, path
from gradual.study.runs import runs
from gradual.training import lora
from gradual.training.batches import EpochBatches
from gradual.training.examples import read_examples
from gradual.training.texts import texts, tokenize
from gradual.workflow.starting import report
from machine import PRODUCTS, product_rates
from repetitions import in_turns, timed
from subject import Subject, add_subject, subject

SEED = 0


class Training:
    """What is trained: a run's facts as rows of tokens, and its settings, in micro batches of the whole batch."""

    def __init__(self, measured: Subject, settings: dict[str, Any]) -> None:
        self.measured, run, probe = measured, settings["run"], measured.config["probe"]
        self.tokenizer = load_tokenizer(measured.base)
        kept = runs(measured.config)[run].training
        self.settings = replace(kept, epochs=settings["epochs"], micro_batch=kept.batch)
        file = measured.study / path(EXAMPLES, seed=measured.seed, model=measured.model, state=run)
        examples = read_examples(file)
        written = prompt_format(probe["format"], probe["template_arguments"], self.tokenizer)
        found = texts(examples[examples["role"] == TRAIN], written)
        self.rows = [tokenize(*text, self.tokenizer, probe["format"], kept.loss_on) for text in found]

    def model(self) -> Any:
        import torch

        torch.manual_seed(SEED)
        return lora.attach_adapter(load_model(self.measured.base, [], self.measured.dtype), None, self.settings)

    def steps(self) -> list[list[int]]:
        """The row numbers of each step of the first epoch."""
        return list(EpochBatches(len(self.rows), 0, 0.0, SEED, self.settings.batch, 0, 1))


def ours(training: Training) -> tuple[float, list[int], float]:
    """Seconds of all epochs with our trainer, their checkpoints included; the rows trained on, and the first loss."""
    model = training.model()
    with tempfile.TemporaryDirectory() as folder:
        given = (training.rows, len(training.rows), 0.0, training.settings, SEED, Path(folder))
        seconds, (_, losses) = timed(lora.train_adapter, model, lora.Training(*given))
    rows = [row for step in training.steps() for row in step] * training.settings.epochs
    return seconds, rows, losses[0]["loss"]


def padded(training: Training, steps: int, padding: str, length: int | None = None) -> tuple[float, list[int], float]:
    """The same of some steps with the Trainer and its collator, which pads to a `length`, or to the longest of a batch."""
    import torch
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model, settings = training.model(), training.settings
    rows = [row for step in training.steps()[:steps] for row in step]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=settings.batch,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            adam_beta2=settings.adam_beta2,
            lr_scheduler_type="cosine",
            train_sampling_strategy="sequential",
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            use_cpu=not torch.cuda.is_available(),
            bf16=torch.cuda.is_available() and model.dtype == torch.bfloat16,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            disable_tqdm=True,
        )
        collator = DataCollatorForSeq2Seq(training.tokenizer, padding=padding, max_length=length)
        dataset = [training.rows[row] for row in rows]
        trainer = Trainer(model=model, args=arguments, train_dataset=dataset, data_collator=collator)
        seconds, _ = timed(trainer.train)
    return seconds, rows, next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)


def ways(training: Training, settings: dict[str, Any]) -> dict[str, Callable[[], tuple[float, list[int], float]]]:
    steps, longest = settings["padded_steps"], settings["padding"]
    return {
        f"every row padded to {longest}": partial(padded, training, steps, "max_length", longest),
        "rows padded to the longest of their batch": partial(padded, training, len(training.steps()), "longest"),
        "ours": partial(ours, training),
    }


def lengths(training: Training, rows: list[int]) -> dict[str, int]:
    """Of the rows: useful tokens, pairs of a token and one before it, tokens that the loss is of."""
    long = [len(training.rows[row]["input_ids"]) for row in rows]
    loss = sum(label >= 0 for row in rows for label in training.rows[row]["labels"][1:])
    return {"useful_tokens": sum(long), "pairs": sum(n * (n + 1) // 2 for n in long), "loss_tokens": loss}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_subject(parser)
    parser.add_argument("--rows", type=int, nargs="+", required=True, help="of the matrix products")
    args = parser.parse_args(argv)
    measured = subject(args)
    training = Training(measured, args.settings)
    works = {way: lambda _, work=work: work() for way, work in ways(training, args.settings).items()}
    rates = product_rates(measured.base, measured.dtype, args.rows)
    training.model()  # imports what training needs
    found = []
    for way, repetition, _, done in in_turns(works | rates, args.repetitions):
        if way in rates:
            found.append({"way": PRODUCTS, "rows": way, "repetition": repetition, "gflop_per_s": done})
            continue
        seconds, rows, loss = done
        found.append(
            {"way": way, "repetition": repetition, "seconds": seconds, "trained_rows": len(rows), "first_loss": loss}
            | lengths(training, rows)
        )
    weights = sum(p.numel() for p in training.model().parameters() if p.requires_grad)
    write_csv(pd.DataFrame(found).convert_dtypes().assign(adapter_weights=weights, process="training"), args.runs)


if __name__ == "__main__":
    report(main)
