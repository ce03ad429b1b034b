"""Fine-tune a state with LoRA on a run's examples, and write an adapter per epoch.

The training continues from its last checkpoint. With several GPUs, the script starts itself again under torchrun, with one
rank per GPU, and the global batch stays the same. After SIGTERM, it saves a checkpoint of its last step and ends.
"""

import argparse
import json
import logging
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pandas as pd

from gradual.ground.files import digest, write_csv, write_text
from gradual.ground.seeding import seeded
from gradual.ground.settings import add_paths, pick
from gradual.knowledge.selection_roles import TRAIN
from gradual.models.adapters import adapter_folder, write_epochs
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.prompts import FORMATS, prompt_format
from gradual.training.examples import read_examples
from gradual.training.lora import Training, attach_adapter, train_adapter
from gradual.training.objectives import OBJECTIVES
from gradual.training.ranks import rank
from gradual.training.settings import TrainingSettings
from gradual.training.texts import Row, texts, tokenize
from gradual.training.trackers import NONE, Tracking, trackers
from gradual.workflow.launching import on_ranks

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    add_paths(parser, "examples", "loss")
    parser.add_argument(
        "--merge", type=Path, nargs="*", default=[], help="handles of adapters to merge into the weights, in this order"
    )
    parser.add_argument("--parent", type=Path, nargs="*", default=[], help="handle of an adapter to continue")
    parser.add_argument(
        "--samples", type=Path, nargs="*", default=[], help="samples of the run, for an objective that needs them"
    )
    parser.add_argument(
        "--settings",
        type=json.loads,
        required=True,
        help="training settings of the run, as JSON; an objective's own settings are under its name",
    )
    parser.add_argument("--replay-ratio", type=float, required=True)
    parser.add_argument("--format", choices=list(FORMATS), required=True)
    parser.add_argument("--template-arguments", type=json.loads, default={}, help="of the chat template, as JSON")
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--code", required=True, help="fingerprint of the code; a checkpoint of other code is not continued"
    )
    parser.add_argument("--texts", type=Path, required=True, help="the exact text of each example, for people")
    parser.add_argument(
        "--epochs", type=Path, required=True, help="handle of the epochs; their adapters are written beside it"
    )
    parser.add_argument("--gpus", type=int, default=0, help="number of GPUs of the job, and of ranks")
    parser.add_argument("--trackers", default=NONE, help="where to show the training, with commas between; or none")
    args = parser.parse_args(argv)
    train(args)


def train(args: argparse.Namespace) -> None:
    """Train, as the only process or as one of several ranks."""
    named = args.epochs.parts[-6:-2]  # study, seed, model and run
    tracking = Tracking(trackers(args.trackers), "/".join(named), args.epochs.parents[1] / "tensorboard")
    settings, own = pick(TrainingSettings, args.settings), args.settings.get(args.settings["objective"], {})
    examples = read_examples(args.examples)
    merged, parents = ([adapter_folder(handle) for handle in handles] for handles in (args.merge, args.parent))
    trained = int((examples["role"] == TRAIN).sum())
    log.info("%d train examples, %d in the replay pool, ratio %s", trained, len(examples) - trained, args.replay_ratio)
    seed = seeded("train", args.seed, args.run) % 2**31
    tokenizer = load_tokenizer(args.base)
    written = texts(
        examples, prompt_format(args.format, args.template_arguments, tokenizer)
    )  # a wrong tokenizer is refused before the model is loaded
    inputs = [[*map(digest, files)] for files in ([args.base, args.examples], args.merge, args.parent, args.samples)]
    key = (
        args.settings,
        args.replay_ratio,
        args.format,
        args.template_arguments,
        args.dtype,
        args.seed,
        args.code,
        inputs,
    )
    folder = args.epochs.parent / f"checkpoints-{sha256(repr(key).encode()).hexdigest()[:16]}"
    objective = OBJECTIVES[settings.objective]

    def encode(prompt: str, completion: str) -> Row:
        return tokenize(prompt, completion, tokenizer, args.format, settings.loss_on)

    training = Training(
        rows=objective.rows(examples, written, encode, args.samples),
        trained=trained,
        ratio=args.replay_ratio,
        settings=settings,
        seed=seed,
        folder=folder,
        own=own,
        tracking=tracking,
    )

    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))  # otherwise all ranks use the first GPU
    torch.manual_seed(seed)  # the initial weights of a new adapter depend on it
    model = load_model(args.base, merged, args.dtype)
    adapted = attach_adapter(model, next(iter(parents), None), settings)
    checkpoints, losses = train_adapter(adapted, training)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if rank() == 0:
        columns = ["step", "epoch", "loss", "learning_rate", "grad_norm", *objective.columns]
        write_csv(pd.DataFrame(losses).reindex(columns=columns), args.loss)
        shown = pd.DataFrame(written, columns=["prompt", "completion"])
        shown = pd.concat([examples[["fact_id", "role", "source"]], shown], axis=1)
        write_text(shown.to_json(orient="records", lines=True, force_ascii=False), args.texts)
        write_epochs(args.epochs, checkpoints)
        shutil.rmtree(folder)


if __name__ == "__main__":
    on_ranks(Path(__file__), main)
