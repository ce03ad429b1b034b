"""Callbacks of the transformers Trainer for pretraining and fine-tuning: progress log, loss check, last checkpoint."""

import json
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError

log = logging.getLogger("gradual")
SECONDS_BETWEEN_LINES = 10


def last_checkpoint(folder: Path) -> str | None:
    """The path of the newest complete checkpoint in a training folder, or None.

    A job that is killed while it writes a checkpoint leaves a broken one. Its trainer_state.json is written last, so it is
    missing or cannot be read. Such a checkpoint is removed.
    """
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in checkpoints:
        try:
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
            return str(checkpoint)
        except (OSError, ValueError):
            shutil.rmtree(checkpoint)
    return None


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
                    "step %d of %d, loss %.3f, %.1f steps/s", state.global_step, state.max_steps, logs["loss"], rate
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
