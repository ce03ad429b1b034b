"""Hold the answers of a probe against those of plain `generate`, on some of its facts, and write how far they agree."""

import argparse
import json
from pathlib import Path

import pandas as pd

from gradual.data.facts import read_facts
from gradual.ground.errors import report
from gradual.ground.files import write_json
from gradual.knowledge.scoring import RULES
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.agreement import agreement, check, draw_facts
from gradual.probe.generations import read_generations
from gradual.probe.plain_generate import PlainPath
from gradual.probe.prompts import ExemplarPool, renderer
from gradual.probe.questions import probe_of
from gradual.workflow.gpus import taken


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument("--adapters", type=Path, nargs="*", default=[], help="adapter folders, merged in this order")
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--generations", type=Path, nargs="+", required=True, help="of all shards of the probe")
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's probe section, as JSON")
    parser.add_argument("--sampling", type=json.loads, help="as the probe had it, as JSON")
    parser.add_argument("--scoring", choices=list(RULES), required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--probe", type=int, required=True)
    parser.add_argument("--checked", type=int, required=True, help="how many facts")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    parser.add_argument("--agreement", type=Path, required=True)
    args = parser.parse_args(argv)
    with taken(args.gpus):
        check_probe(args)


def check_probe(args: argparse.Namespace) -> None:
    settings, place = args.settings, (args.seed, args.state, args.probe)
    facts = read_facts(args.facts)
    checked = draw_facts(facts[facts["split"] == args.split], args.checked, *place)
    shards = (read_generations([path]) for path in args.generations)  # one at a time in memory
    recorded = pd.concat([rows[rows["fact_id"].isin(checked["fact_id"])] for rows in shards], ignore_index=True)
    tokenizer = load_tokenizer(args.base)
    pool = ExemplarPool(facts, settings["exemplar_split"], str(args.facts))
    render = renderer(settings["format"], tokenizer)
    prompts, decoding = probe_of(checked, pool, render, settings, args.sampling, *place)
    special_tokens = settings["format"] == "plain"  # a chat template writes them itself
    plain = PlainPath(load_model(args.base, args.adapters, args.dtype), tokenizer, special_tokens, decoding)
    found = agreement(plain, prompts, recorded, checked.set_index("fact_id")["answers"].str[0], args.scoring)
    check(found, args.generations[0].parent)
    write_json(found, args.agreement)


if __name__ == "__main__":
    report(main)
