"""Take a small base model from the shipped ones, or pretrain it on a corpus where none has its recipe.

A pretraining continues from its last checkpoint when it is started again.
"""

import argparse
import json
import logging
import shutil
import tempfile
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pandas as pd

from gradual.ground.files import read_parquet, write_csv, write_json
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as parser_of
from gradual.models.handle import write_handle
from gradual.models.shipped import LOSS, Recipe, find, take, texts_digest
from gradual.training.equal_bits import start_again_with_equal_bits
from gradual.training.pretraining import ModelSettings, PretrainingSettings, pretrain, save
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "corpus", "recipe")
    parser.add_argument("--model", type=parser_of(ModelSettings), required=True, help="of the config, as JSON")
    parser.add_argument("--settings", type=parser_of(PretrainingSettings), required=True, help="of the config, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--code", required=True, help="fingerprint of the code of pretraining, for the recipe")
    parser.add_argument("--shelf", type=Path, help="folder of the shipped models; without it, none is taken")
    parser.add_argument("--base", type=Path, required=True, help="the handle; the model's files are written beside it")
    args = parser.parse_args(argv)
    texts = read_parquet(args.corpus, "a corpus", ("text",))["text"].tolist()
    recipe = {
        "model": asdict(args.model),
        "settings": asdict(args.settings),
        "seed": args.seed,
        "corpus": texts_digest(texts),
        "code": args.code,
    }
    folder = args.base.parent
    if shipped := args.shelf and find(recipe, args.shelf):
        log.info("taken from %s, which has this recipe", shipped)
        take(shipped, folder)
    else:
        if args.shelf:  # for the user who waits: all other words are in the log
            print(f"{folder}: no model in {args.shelf} has this recipe, so it is pretrained here")
        train(texts, args, recipe)
    write_json(recipe, args.recipe)
    write_handle(args.base, folder, "pretrain")


def train(texts: list[str], args: argparse.Namespace, recipe: Recipe) -> None:
    """Pretrain the model on the texts, and write its files and its losses beside its handle."""
    folder = args.base.parent
    key = sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    checkpoints = folder / f"checkpoints-{key}"
    model, tokenizer, history = pretrain(texts, args.model, args.settings, args.seed, checkpoints)
    log.info("%d parameters, %s", sum(p.numel() for p in model.parameters()), history[-1])
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        save(model, tokenizer, Path(temporary))
        for file in sorted(Path(temporary).iterdir()):
            file.replace(folder / file.name)
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    write_csv(pd.DataFrame(losses, columns=["step", "loss"]), folder / LOSS)
    shutil.rmtree(checkpoints)


if __name__ == "__main__":
    start_again_with_equal_bits()
    report(main)
