"""Ask every epoch of a run the dev and test questions, on fixed prompts, and write the raw answers."""

import argparse
from dataclasses import asdict
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.data.question_sets import QUESTION_SETS, questions
from gradual.ground.files import digest, write_atomically, write_json
from gradual.ground.settings import add_paths
from gradual.models.adapters import read_epochs
from gradual.probe.answers import GREEDY_ANSWERS
from gradual.probe.asking import add_asking, asked_engine, asked_format, greedy_decoding
from gradual.probe.prompts import ExemplarPool, PromptSettings
from gradual.probe.questions import fact_prompts, in_order
from gradual.probe.recording import GenerationsFile, append_generations, kept_folder
from gradual.workflow.starting import on_gpus


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_asking(parser)
    parser.add_argument(
        "--epochs", type=Path, nargs="*", default=[], help="handle of the run's epochs; the origin has none"
    )
    add_paths(parser, "facts", "generations", "usage")
    parser.add_argument("--questions", nargs="+", choices=list(QUESTION_SETS), required=True)
    parser.add_argument(
        "--prompt-seed",
        type=int,
        required=True,
        help="seed of the prompts, the same for all states and seeds of the study",
    )
    args = parser.parse_args(argv)
    evaluate(args)


def evaluate(args: argparse.Namespace) -> None:
    """Ask every epoch in turn. The engine is loaded only once and switches between the adapters."""
    answering = args.settings
    facts = read_facts(args.facts)
    asked = in_order(questions(facts, args.questions), answering.exemplars)
    pool = ExemplarPool(facts, answering.exemplar_split, str(args.facts))
    drawn = PromptSettings(args.prompt_seed, answering.shots, answering.exemplars)
    render = asked_format(args).prompt
    epochs = [folder for handle in args.epochs for folder in read_epochs(handle)]
    engine = asked_engine(args)  # the epochs follow the adapters
    prompts = list(fact_prompts(asked, pool, drawn, 1, render))
    inputs = [digest(file) for file in (args.base, *args.adapters, *args.epochs, args.facts)]
    key = (answering, args.engine, args.questions, args.prompt_seed, args.dtype, args.code, inputs)
    kept = kept_folder(args.generations, key)
    with write_atomically(args.generations) as temporary, GenerationsFile(temporary, kept, "epoch") as file:
        engine.usage.add(file.usage)
        for epoch, adapter in enumerate(epochs, 1) if epochs else [(0, None)]:
            if adapter:
                engine.use(adapter)
            append_generations(
                engine, iter(prompts), len(asked), greedy_decoding(answering), GREEDY_ANSWERS, file, epoch=epoch
            )
    write_json(asdict(engine.usage), args.usage)


if __name__ == "__main__":
    on_gpus(main)
