"""Callbacks of the transformers Trainer for pretraining and fine-tuning: progress log, loss check, whole checkpoints."""

import json
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import digest, write_json

log = logging.getLogger("gradual")
SECONDS_BETWEEN_LINES = 10
SEAL = "sha256.json"  # the digests of a checkpoint's other files


def seal_checkpoints(trainer: Any) -> None:
    """Let a Trainer write the digests of a checkpoint's files into it, as the last file of the checkpoint."""
    from transformers import TrainerCallback

    class SealCheckpoints(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                write_json({file.name: digest(file) for file in sorted(checkpoint.iterdir())}, checkpoint / SEAL)

    trainer.add_callback(SealCheckpoints())


def last_checkpoint(folder: Path) -> str | None:
    """The path of the newest whole checkpoint in a training folder that has only whole ones before it, or None.

    A job that is killed while it writes a checkpoint leaves it without its seal. A broken disk changes a file. Such a
    checkpoint is removed, and also the later ones, because the epochs before them would lack its adapter.
    """
    last, damaged = None, False
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2])):
        if not damaged and (fault := _fault(checkpoint)):
            log.warning("%s is not whole (%s): it is removed, and also later ones", checkpoint.name, fault)
            damaged = True
        if damaged:
            shutil.rmtree(checkpoint)
        else:
            last = str(checkpoint)
    return last


def _fault(checkpoint: Path) -> str | None:
    """The name of a file of the checkpoint that is missing or has changed, or None."""
    try:
        digests = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
        changed = (name for name, expected in digests.items() if digest(checkpoint / name) != expected)
        return next(changed, None)
    except FileNotFoundError as error:
        return Path(error.filename).name
    except (OSError, ValueError, AttributeError):
        return SEAL


def log_progress(trainer: Any) -> None:
    """Let a Trainer log its progress instead of printing every loss. It writes at most one line in ten seconds."""
    from transformers import PrinterCallback, TrainerCallback

    class LogProgress(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begun = self.written = time.monotonic()
            self.first = state.global_step
            if self.first:
                log.info("resumed after step %d", self.first)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            now = time.monotonic()
            if "loss" in logs and now - self.written >= SECONDS_BETWEEN_LINES:
                self.written = now
                rate = (state.global_step - self.first) / (now - self.begun)
                log.info(
                    "step %d of %d, loss %.3f, %.3g steps/s", state.global_step, state.max_steps, logs["loss"], rate
                )

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(LogProgress())


def stop_at_bad_loss(trainer: Any, section: str) -> None:
    """Let a Trainer raise InputError if its loss or gradient norm is not finite. The error names the config's `section`."""
    from transformers import TrainerCallback

    class StopAtBadLoss(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            for name in ("loss", "grad_norm"):
                if not math.isfinite(logs.get(name, 0.0)):
                    problem = f"the {name} is {logs[name]} at step {state.global_step} of {state.max_steps}"
                    raise InputError(section, problem, "a finite one (try a lower learning_rate)", key="learning_rate")

    trainer.add_callback(StopAtBadLoss())
