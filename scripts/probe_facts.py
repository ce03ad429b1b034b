"""Ask a state about every fact of a question set, with several prompts, and write the raw answers."""

import argparse
from dataclasses import asdict

from gradual.data.facts import read_facts
from gradual.data.question_sets import QUESTION_SETS, questions
from gradual.ground.choices import Choice
from gradual.ground.files import digest, write_atomically, write_json
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as settings
from gradual.knowledge.golds import ANSWERS, golds
from gradual.probe.asking import add_asking, asked_engine, asked_format
from gradual.probe.prompts import ExemplarPool
from gradual.probe.questions import in_order, probe_decoding, probe_prompts, shard
from gradual.probe.recording import GenerationsFile, append_generations, kept_folder
from gradual.probe.settings import ProbeKey, Sampling
from gradual.workflow.starting import on_gpus

# How many prompts and samples a fact gets. Each function returns a `probe.answers.Asking`. It takes the gold answers by
# fact_id and a word. For "exact", the word says which facts have samples. For "settled", it is the scoring rule.
COUNTS = Choice(
    "counts",
    {"exact": "gradual.probe.questions:exactly", "settled": "gradual.knowledge.settling:until_settled"},
)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_asking(parser)
    add_paths(parser, "facts", "generations", "usage")
    parser.add_argument(
        "--sampling", type=settings(Sampling), help="settings of samples, as JSON; without it, only greedy answers"
    )
    parser.add_argument(
        "--counts",
        nargs=2,
        required=True,
        metavar=("COUNTS", "WORD"),
        help="how much is asked about a fact; see COUNTS in this script",
    )
    parser.add_argument("--answers", choices=ANSWERS, required=True, help="which answers of a fact count as right")
    parser.add_argument("--prompts", type=int, required=True, help="number of prompts per fact")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--questions", choices=list(QUESTION_SETS), required=True)
    parser.add_argument("--probe", type=int, required=True, help="0 for the probe, 1 for the re-probe")
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--shards", type=int, required=True)
    args = parser.parse_args(argv)
    probe(args)


def probe(args: argparse.Namespace) -> None:
    """Ask one shard of the facts."""
    answering, key = args.settings, ProbeKey(args.seed, args.state, args.probe)
    facts = read_facts(args.facts)
    render, engine = asked_format(args).prompt, asked_engine(args)
    probed = shard(in_order(questions(facts, [args.questions]), answering.exemplars), args.shard, args.shards)
    pool = ExemplarPool(facts, answering.exemplar_split, str(args.facts))
    prompts = probe_prompts(probed, pool, render, answering, args.prompts, key)
    counts, word = args.counts
    asking = COUNTS[counts](golds(probed, args.answers), word)
    decoding = probe_decoding(answering, args.sampling, key)
    asked = (answering, args.sampling, args.counts, args.answers, args.engine, args.prompts, args.dtype, key)
    place = (args.questions, args.shard, args.shards, args.code)
    inputs = [digest(file) for file in (args.base, *args.adapters, args.facts)]
    kept = kept_folder(args.generations, (asked, place, inputs))
    with write_atomically(args.generations) as temporary, GenerationsFile(temporary, kept) as file:
        engine.usage.add(file.usage)
        append_generations(engine, prompts, len(probed), decoding, asking, file)
    write_json(asdict(engine.usage), args.usage)


if __name__ == "__main__":
    on_gpus(main)
