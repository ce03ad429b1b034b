"""Fine-tune a state with LoRA on selected facts; an adapter per epoch. Continues from its last checkpoint.

With several GPUs it starts itself again under torchrun, as one rank per GPU; the global batch stays the same. SIGTERM
ends it in order: it keeps a checkpoint of its last step.
"""

import argparse
import json
import logging
import os
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import pandas as pd

from gradual.data.facts import read_facts
from gradual.ground.errors import report
from gradual.ground.files import digest, read_parquet, write_csv
from gradual.ground.seeding import seeded
from gradual.models.adapters import ADAPTER_FILES, write_epochs
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.prompts import renderer
from gradual.training.lora import attach_adapter, examples, train_adapter
from gradual.training.ranks import launch, launched, ordered_end, rank
from gradual.workflow.gpus import taken

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument("--merge", type=Path, nargs="*", default=[], help="adapter folders to merge into the weights")
    parser.add_argument("--parent", type=Path, help="adapter folder to continue; without it a new adapter is trained")
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--selection", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, required=True, help="the run's training settings, as JSON")
    parser.add_argument("--replay-ratio", type=float, required=True)
    parser.add_argument("--format", choices=["plain", "chat"], required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--code", required=True, help="fingerprint of the code: other code resumes no checkpoint")
    parser.add_argument("--loss", type=Path, required=True)
    parser.add_argument("--epochs", type=Path, required=True, help="handle of the epochs; their adapters go beside it")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job, and so ranks")
    args = parser.parse_args(argv)
    if launched():
        with ordered_end():
            train(args)
        return
    with taken(args.gpus):
        if args.gpus > 1:
            launch(Path(__file__), sys.argv[1:] if argv is None else argv, args.gpus)
        else:
            with ordered_end():
                train(args)


def train(args: argparse.Namespace) -> None:
    """Train, as the only process or as one of the ranks."""
    parents = [*args.merge, *([args.parent] if args.parent else [])]
    inputs = [args.base, args.selection, *(folder / name for folder in parents for name in ADAPTER_FILES)]
    settings = (args.settings, args.replay_ratio, args.format, args.dtype, args.seed, args.code)
    key = sha256(repr((settings, [*map(digest, inputs)])).encode())
    folder = args.epochs.parent / f"checkpoints-{key.hexdigest()[:16]}"
    texts, trained, pool = examples(
        read_parquet(args.selection, "a selection of facts", ("fact_id", "role")), read_facts(args.facts)
    )
    log.info("training on %d facts, %d in the replay pool, ratio %s", trained, pool, args.replay_ratio)
    seed = seeded("train", args.seed, args.run) % 2**31
    tokenizer = load_tokenizer(args.base)
    renderer(args.format, tokenizer)  # refuses a tokenizer without a chat template before the model is loaded
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))  # else every rank's model goes to the first GPU
    torch.manual_seed(seed)  # the new adapter's weights
    checkpoints, losses = train_adapter(
        attach_adapter(load_model(args.base, args.merge, args.dtype), args.parent, args.settings),
        tokenizer,
        texts,
        trained,
        pool,
        args.replay_ratio,
        args.settings,
        args.format,
        seed,
        folder,
    )
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if rank() == 0:
        columns = ["step", "epoch", "loss", "learning_rate", "grad_norm"]
        write_csv(pd.DataFrame(losses)[columns], args.loss)
        write_epochs(args.epochs, checkpoints)
        shutil.rmtree(folder)


if __name__ == "__main__":
    report(main)
