"""Answer the dev and test questions once each, on fixed prompts, with the adapter of every epoch of a run."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from gradual.data.facts import read_facts
from gradual.ground.errors import report
from gradual.ground.files import write_atomically, write_json
from gradual.models.adapters import read_epochs
from gradual.models.loading import load_tokenizer
from gradual.probe.answers import GREEDY_ANSWERS, Decoding
from gradual.probe.engines.load import add_deployment, deployment, load_engine
from gradual.probe.generations import GenerationsFile, append_generations
from gradual.probe.prompts import ExemplarPool, PromptSettings, renderer
from gradual.probe.questions import fact_prompts
from gradual.workflow.gpus import taken


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument("--merge", type=Path, nargs="*", default=[], help="adapter folders beneath those of the epochs")
    parser.add_argument("--epochs", type=Path, help="handle of the run's epochs; without it, the origin is evaluated")
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--probe", type=json.loads, required=True, help="the config's probe section, as JSON")
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's evaluation section, as JSON")
    parser.add_argument("--dtype", required=True)
    add_deployment(parser)
    parser.add_argument("--generations", type=Path, required=True)
    parser.add_argument("--usage", type=Path, required=True)
    args = parser.parse_args(argv)
    with taken(args.gpus):
        evaluate(args)


def evaluate(args: argparse.Namespace) -> None:
    probe, settings = args.probe, args.settings
    facts = read_facts(args.facts)
    asked = facts[facts["split"].isin(settings["splits"])]
    pool = ExemplarPool(facts, settings["exemplar_split"], str(args.facts))
    prompt_settings = PromptSettings(settings["seed"], probe["shots"], probe["exemplars"])
    decoding = Decoding(probe["max_new_tokens"], tuple(probe["stop"]), repetition_penalty=probe["repetition_penalty"])
    render = renderer(probe["format"], load_tokenizer(args.base))
    epochs = read_epochs(args.epochs) if args.epochs else []
    engine = load_engine(probe["engine"], args.base, args.merge, probe["format"], args.dtype, deployment(args))
    prompts = list(fact_prompts(asked, pool, prompt_settings, 1, render))
    with write_atomically(args.generations) as temporary, GenerationsFile(temporary, "epoch") as file:
        for epoch, adapter in enumerate(epochs, 1) if epochs else [(0, None)]:
            if adapter:
                engine.use(adapter)
            append_generations(engine, iter(prompts), len(asked), decoding, GREEDY_ANSWERS, file, epoch=epoch)
    write_json(asdict(engine.usage), args.usage)


if __name__ == "__main__":
    report(main)
