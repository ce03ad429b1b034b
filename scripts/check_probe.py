"""Ask some facts of a probe again with plain `generate`, and write how well the answers of both agree."""

import argparse
from pathlib import Path

import pandas as pd

from gradual.data.facts import read_facts
from gradual.data.question_sets import QUESTION_SETS, questions
from gradual.ground.files import write_json
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as settings
from gradual.knowledge.golds import ANSWERS, golds
from gradual.knowledge.scoring import RULES
from gradual.models.adapters import adapter_folder
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.agreement import agreement, check, draw_facts
from gradual.probe.generations import read_generations
from gradual.probe.plain_generate import PlainGenerate
from gradual.probe.prompts import ExemplarPool, adds_special_tokens, prompt_format
from gradual.probe.questions import probe_decoding, probe_prompts
from gradual.probe.settings import AnswerSettings, ProbeKey, Sampling
from gradual.workflow.starting import on_gpus


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument(
        "--adapters", type=Path, nargs="*", default=[], help="handles of adapters, merged in this order"
    )
    add_paths(parser, "facts", "agreement")
    parser.add_argument(
        "--generations", type=Path, nargs="+", required=True, help="the raw answers of the probe, all shards"
    )
    parser.add_argument(
        "--settings", type=settings(AnswerSettings), required=True, help="the probe's settings, as JSON"
    )
    parser.add_argument(
        "--sampling",
        type=settings(Sampling),
        help="the probe's sampling settings, as JSON; without it, only greedy answers",
    )
    parser.add_argument("--prompts", type=int, required=True, help="number of prompts per fact")
    parser.add_argument("--scoring", choices=list(RULES), required=True)
    parser.add_argument("--answers", choices=ANSWERS, required=True, help="which answers of a fact count as right")
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--questions", choices=list(QUESTION_SETS), required=True)
    parser.add_argument("--probe", type=int, required=True)
    parser.add_argument("--checked", type=int, required=True, help="number of facts to ask again")
    parser.add_argument("--gpus", type=int, default=0, help="number of GPUs of the job")
    args = parser.parse_args(argv)
    check_probe(args)


def check_probe(args: argparse.Namespace) -> None:
    """Ask some of the probe's facts again, prompt by prompt, and write the agreement."""
    answering, key = args.settings, ProbeKey(args.seed, args.state, args.probe)
    facts = read_facts(args.facts)
    checked = draw_facts(questions(facts, [args.questions]), args.checked, key.seed, key.state, key.probe)
    shards = (read_generations([path]) for path in args.generations)  # only one is in memory at a time
    recorded = pd.concat([rows[rows["fact_id"].isin(checked["fact_id"])] for rows in shards], ignore_index=True)
    tokenizer = load_tokenizer(args.base)
    pool = ExemplarPool(facts, answering.exemplar_split, str(args.facts))
    render = prompt_format(answering.format, answering.template_arguments, tokenizer).prompt
    prompts = probe_prompts(checked, pool, render, answering, args.prompts, key)
    model = load_model(args.base, [adapter_folder(handle) for handle in args.adapters], args.dtype)
    decoding = probe_decoding(answering, args.sampling, key)
    plain = PlainGenerate(model, tokenizer, adds_special_tokens(answering.format), decoding)
    found = agreement(plain, prompts, recorded, golds(checked, args.answers), RULES[args.scoring].best)
    check(found, args.generations[0].parent)
    write_json(found, args.agreement)


if __name__ == "__main__":
    on_gpus(main)
