"""Ask a state of the model every fact of a split with several prompts, and write its raw answers and what they took."""

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.facts import read_facts
from gradual.ground.errors import report
from gradual.ground.files import write_atomically, write_json
from gradual.models.loading import load_tokenizer
from gradual.probe.answers import Asking
from gradual.probe.engines.load import add_deployment, deployment, load_engine
from gradual.probe.generations import GenerationsFile, append_generations
from gradual.probe.prompts import ExemplarPool, renderer
from gradual.probe.questions import probe_of, shard, unsolved
from gradual.workflow.gpus import taken

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument("--adapters", type=Path, nargs="*", default=[], help="adapter folders, merged in this order")
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's probe section, as JSON")
    parser.add_argument(
        "--sampling", type=json.loads, help="how it samples answers, as JSON; without it, greedy ones only"
    )
    parser.add_argument(
        "--settled-by",
        help="scoring rule that settles a fact's category, and it is asked no more; without it, all prompts",
    )
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--probe", type=int, required=True, help="0 is the probe, 1 and on are retests")
    parser.add_argument("--shard", type=int, required=True)
    add_deployment(parser)
    parser.add_argument("--generations", type=Path, required=True)
    parser.add_argument("--usage", type=Path, required=True)
    args = parser.parse_args(argv)
    with taken(args.gpus):
        probe(args)


def probe(args: argparse.Namespace) -> None:
    settings, sampling = args.settings, args.sampling
    facts = read_facts(args.facts)
    render = renderer(settings["format"], load_tokenizer(args.base))
    engine = load_engine(settings["engine"], args.base, args.adapters, settings["format"], args.dtype, deployment(args))
    probed = shard(facts[facts["split"] == args.split], args.shard, settings["shards"])
    pool = ExemplarPool(facts, settings["exemplar_split"], str(args.facts))
    prompts, decoding = probe_of(probed, pool, render, settings, sampling, args.seed, args.state, args.probe)
    asking = asked(probed.set_index("fact_id")["answers"].str[0], sampling, args.settled_by)
    with write_atomically(args.generations) as temporary, GenerationsFile(temporary) as file:
        append_generations(engine, prompts, len(probed), decoding, asking, file)
    write_json(asdict(engine.usage), args.usage)


def asked(answers: pd.Series, sampling: dict[str, Any] | None, settled_by: str | None) -> Asking:
    """What is asked about the facts; `answers` maps fact_id to the gold answer."""
    if settled_by:
        from gradual.knowledge.settling import until_settled  # else no part of this probe, nor of its fingerprint

        return until_settled(answers, settled_by)
    every = bool(sampling) and sampling["sampled_for"] == "all"
    return Asking((lambda _: True) if every else unsolved(answers))


if __name__ == "__main__":
    report(main)
