"""Checkpoints of a fine-tuning: after every epoch, every few steps, and after SIGTERM.

`callbacks.last_checkpoint` finds the newest one.
"""

import shutil
from pathlib import Path
from typing import Any

from gradual.ground.errors import EndedWithNotice
from gradual.training.ranks import any_rank, noticed

STEPS_BETWEEN = 100  # steps between two checkpoints within an epoch


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a training folder, oldest first."""
    return sorted(folder.glob("checkpoint-*"), key=steps)


def steps(checkpoint: Path) -> int:
    """The number of steps done before a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def ends_epoch(step: int, trainer_state: Any, epochs: float) -> bool:
    """Whether a step is the last of an epoch."""
    return step * round(epochs) % trainer_state.max_steps == 0


def keep_checkpoints(trainer: Any, folder: Path) -> None:
    """Let a Trainer keep a checkpoint of every epoch, and the newest checkpoint within the current epoch.

    The Trainer must have no save strategy of its own. If any rank has received SIGTERM, all ranks save a checkpoint at the
    end of their step, and stop.
    """
    from transformers import TrainerCallback

    class KeepCheckpoints(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            ending = any_rank(noticed(), args.device)
            at_interval = state.global_step % STEPS_BETWEEN == 0
            control.should_save = ending or at_interval or ends_epoch(state.global_step, state, args.num_train_epochs)
            control.should_training_stop = control.should_training_stop or ending

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            for checkpoint in checkpoints(folder) if state.is_world_process_zero else []:
                step = steps(checkpoint)
                if step < state.global_step and not ends_epoch(step, state, args.num_train_epochs):
                    shutil.rmtree(checkpoint)

    trainer.add_callback(KeepCheckpoints())


def stop_if_unfinished(trainer: Any) -> None:
    """Raise EndedWithNotice if a training has stopped before its last step. It does so after SIGTERM."""
    step, last = trainer.state.global_step, trainer.state.max_steps
    if step < last:
        raise EndedWithNotice(f"ended with notice (SIGTERM) after step {step} of {last}; continues when started again")
