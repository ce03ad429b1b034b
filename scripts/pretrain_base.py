"""Pretrain a small base model on a corpus. Continues from its last checkpoint when started again."""

import argparse
import logging
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

import pandas as pd

from gradual.ground.files import digest, read_parquet, write_csv
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as parser_of
from gradual.models.handle import write_handle
from gradual.training.pretraining import PretrainingSettings, Recipe, pretrain
from gradual.workflow.starting import on_gpus

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "corpus", "loss")
    parser.add_argument("--model", type=parser_of(Recipe), required=True, help="of the config, as JSON")
    parser.add_argument("--settings", type=parser_of(PretrainingSettings), required=True, help="of the config, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--code", required=True, help="fingerprint of the code: other code resumes no checkpoint")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job: one or none")
    parser.add_argument("--base", type=Path, required=True, help="the handle; the model's files are written beside it")
    args = parser.parse_args(argv)
    train(args)


def train(args: argparse.Namespace) -> None:
    key = sha256(repr((args.model, args.settings, args.seed, args.code, digest(args.corpus))).encode()).hexdigest()[:16]
    checkpoints = args.base.parent / f"checkpoints-{key}"
    documents = read_parquet(args.corpus, "a corpus", ("text",))["text"].tolist()
    model, tokenizer, history = pretrain(documents, args.model, args.settings, args.seed, checkpoints)
    log.info("%d parameters, %s", sum(p.numel() for p in model.parameters()), history[-1])
    with tempfile.TemporaryDirectory(dir=args.base.parent) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        for file in sorted(Path(temporary).iterdir()):
            file.replace(args.base.parent / file.name)
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    write_csv(pd.DataFrame(losses, columns=["step", "loss"]), args.loss)
    write_handle(args.base, args.base.parent, "pretrain")
    shutil.rmtree(checkpoints)


if __name__ == "__main__":
    on_gpus(main)
