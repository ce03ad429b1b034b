"""Ask a state about every fact of the groups, in every wording, and write the raw answers."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from gradual.data.facts import read_facts
from gradual.data.question_wordings import read_wordings, reworded
from gradual.data.revisions import read_groups
from gradual.ground.errors import InputError
from gradual.ground.files import digest, write_atomically, write_json
from gradual.ground.settings import add_paths
from gradual.probe.answers import GREEDY_ANSWERS, Prompt
from gradual.probe.asking import add_asking, asked_engine, asked_format, greedy_decoding
from gradual.probe.prompts import ExemplarPool, PromptSettings, exemplars_of
from gradual.probe.questions import in_order
from gradual.probe.recording import GenerationsFile, append_generations, kept_folder
from gradual.workflow.starting import on_gpus


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_asking(parser)
    add_paths(parser, "facts", "groups", "generations", "usage")
    parser.add_argument("--wordings", type=Path, nargs="*", default=[], help="without it, questions are the facts' own")
    parser.add_argument("--asked", type=int, nargs="+", required=True, help="the numbers of the wordings")
    parser.add_argument("--prompt-seed", type=int, required=True, help="seed of the prompts, the same for all states")
    parser.add_argument(
        "--probe", type=int, required=True, help="number of the prompt; another one has other exemplars"
    )
    args = parser.parse_args(argv)
    ask(args)


def ask(args: argparse.Namespace) -> None:
    """Ask in one wording after another. All wordings of a fact have the same exemplars."""
    answering = args.settings
    facts, groups = read_facts(args.facts), read_groups(args.groups)
    grouped = in_order(facts[facts["fact_id"].isin(groups["fact_id"])], answering.exemplars)
    if not len(grouped):
        raise InputError(args.groups, "has no fact of the facts table", "the groups of these facts", key="fact_id")
    pool = ExemplarPool(facts, answering.exemplar_split, str(args.facts))
    drawn = PromptSettings(args.prompt_seed, answering.shots, answering.exemplars)
    render, engine = asked_format(args).prompt, asked_engine(args)
    wordings = read_wordings(args.wordings[0]) if args.wordings else None

    def prompts(asked: pd.DataFrame) -> Iterator[list[Prompt]]:
        for fact, question in zip(grouped.itertuples(index=False), asked["question"], strict=True):
            exemplars = exemplars_of(fact, args.probe, pool, drawn)
            yield [Prompt(fact.fact_id, args.probe, render(exemplars, question))]

    inputs = [digest(file) for file in (args.base, *args.adapters, args.facts, args.groups, *args.wordings)]
    key = (answering, args.engine, args.asked, args.prompt_seed, args.probe, args.dtype, args.code, inputs)
    kept = kept_folder(args.generations, key)
    with write_atomically(args.generations) as temporary, GenerationsFile(temporary, kept, "wording") as file:
        engine.usage.add(file.usage)
        for number in args.asked:
            asked = grouped if wordings is None else reworded(grouped, wordings, number)
            append_generations(
                engine, prompts(asked), len(asked), greedy_decoding(answering), GREEDY_ANSWERS, file, wording=number
            )
    write_json(asdict(engine.usage), args.usage)


if __name__ == "__main__":
    on_gpus(main)
