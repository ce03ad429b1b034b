"""Write the examples of a run that trains on as many tokens as another run: its own ones, repeated to as many tokens."""

import argparse
import json
import logging
from pathlib import Path

import pandas as pd

from gradual.ground.files import write_parquet
from gradual.ground.settings import add_paths
from gradual.knowledge.selection_roles import TRAIN
from gradual.models.loading import load_tokenizer
from gradual.probe.prompts import FORMATS, prompt_format
from gradual.training.examples import read_examples
from gradual.training.repeated_examples import repeat_to_tokens
from gradual.training.texts import texts, tokenize
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model, whose tokenizer counts")
    add_paths(parser, "own", "other", "examples")
    parser.add_argument("--format", choices=list(FORMATS), required=True)
    parser.add_argument("--template-arguments", type=json.loads, default={}, help="of the chat template, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)
    tokenizer = load_tokenizer(args.base)
    written = prompt_format(args.format, args.template_arguments, tokenizer)

    def sizes(examples: pd.DataFrame) -> list[int]:
        """The tokens of each row to train on, prompt and answer."""
        train = examples[examples["role"] == TRAIN]
        found = [tokenize(*text, tokenizer, args.format, "text") for text in texts(train, written)]
        return [len(row["input_ids"]) for row in found]

    own = read_examples(args.own)
    mine, tokens = sizes(own), sum(sizes(read_examples(args.other)))
    examples = repeat_to_tokens(own, mine, tokens, args.seed)
    log.info("%d tokens of the other run; own examples of %d tokens make %d rows", tokens, sum(mine), len(examples))
    write_parquet(examples, args.examples)


if __name__ == "__main__":
    report(main)
