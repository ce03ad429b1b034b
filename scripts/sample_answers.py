"""Sample answers of a run's parent to the questions that the run trains on, and write them with their log-probabilities.

The prompts are those of training, without exemplars. A job that is killed while it samples goes on when it is started
again. The log-probabilities take less time, and are computed anew.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from gradual.ground.files import digest, write_json, write_parquet
from gradual.ground.seeding import seeded
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as settings
from gradual.knowledge.alignment import ALIGNMENTS, Judge
from gradual.knowledge.scoring import RULES
from gradual.knowledge.selection_roles import TRAIN
from gradual.models.adapters import adapter_folder
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Asking, Decoding, Prompt
from gradual.probe.asking import add_asking, asked_engine, asked_format
from gradual.probe.generations import SAMPLED, read_generations
from gradual.probe.prompts import PromptFormat
from gradual.probe.recording import GenerationsFile, append_generations, kept_folder
from gradual.training.examples import read_examples
from gradual.training.log_probabilities import mean_log_probabilities
from gradual.training.samples import ALIGNED, CONFLICTING, SAMPLE_COLUMNS, TARGET, questions_of
from gradual.training.settings import SampleSettings
from gradual.training.texts import tokenize
from gradual.workflow.starting import on_gpus

SAMPLES = Asking(lambda _: True)  # of every prompt; an engine also gives its greedy answer


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_asking(parser)
    add_paths(parser, "examples", "samples", "usage")
    parser.add_argument("--sampling", type=settings(SampleSettings), required=True, help="settings of samples, as JSON")
    parser.add_argument("--scoring", choices=list(RULES), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--parent", required=True, help="the state that is asked; runs from it have the same samples")
    args = parser.parse_args(argv)
    sample(args)


def sample(args: argparse.Namespace) -> None:
    """Sample each question, then compute the log-probabilities with the plain model."""
    tokenizer, written = load_tokenizer(args.base), asked_format(args)
    examples = read_examples(args.examples)
    asked = questions_of(examples[examples["role"] == TRAIN], args.examples)
    asked = asked.assign(
        prompt=[written.prompt([], question) for question in asked["question"]],
        prompt_index=asked.groupby("fact_id").cumcount(),
    )
    found = _rows(asked, _sampled(args, asked), ALIGNMENTS[args.sampling.align](args.scoring), written)
    texts = zip(found["prompt"], found["completion"], strict=True)
    encoded = [tokenize(*text, tokenizer, args.settings.format, "answer") for text in texts]
    parent = load_model(args.base, [adapter_folder(handle) for handle in args.adapters], args.dtype)
    means = mean_log_probabilities(parent, encoded)
    found[["log_probability", "tokens"]] = pd.DataFrame(means, index=found.index)
    write_parquet(found[[*SAMPLE_COLUMNS]], args.samples)


def _sampled(args: argparse.Namespace, asked: pd.DataFrame) -> pd.DataFrame:
    """The sampled answers as generations. The engine is gone afterwards, and so is the memory that it took."""
    answering, sampling = args.settings, args.sampling
    engine = asked_engine(args)
    decoding = Decoding(
        max_new_tokens=answering.max_new_tokens,
        stop=answering.stop,
        samples=sampling.samples,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        seed=seeded("samples", args.seed, args.parent),
        repetition_penalty=answering.repetition_penalty,
    )
    inputs = [digest(file) for file in (args.base, *args.adapters, args.examples)]
    kept = kept_folder(args.samples, (decoding, answering, args.engine, args.dtype, args.code, inputs))
    with tempfile.TemporaryDirectory(prefix="gradual-samples-") as folder:
        answers = Path(folder) / "generations.parquet"
        with GenerationsFile(answers, kept) as file:
            engine.usage.add(file.usage)
            append_generations(engine, _prompts(asked), len(asked), decoding, SAMPLES, file)
        write_json(asdict(engine.usage), args.usage)
        getattr(engine, "close", lambda: None)()  # vLLM keeps its memory until it is closed
        found = read_generations([answers])
    return found[found["kind"] == SAMPLED]


def _prompts(asked: pd.DataFrame) -> Iterator[list[Prompt]]:
    for row in asked.itertuples(index=False):
        yield [Prompt(row.fact_id, row.prompt_index, row.prompt)]


def _rows(asked: pd.DataFrame, sampled: pd.DataFrame, aligned: Judge, written: PromptFormat) -> pd.DataFrame:
    """The target and the samples of each question, without log-probabilities, but with the prompt.

    After a sample that reached the limit of tokens, nothing ends it.
    """
    answers = sampled.groupby(["fact_id", "prompt_index"])
    rows = []
    for q in asked.itertuples(index=False):
        place = {"fact_id": q.fact_id, "question": q.question, "prompt": q.prompt}
        target = {"kind": TARGET, "text": q.answer, "count": 0, "completion": written.completion(q.question, q.answer)}
        rows.append(place | target)
        for found in answers.get_group((q.fact_id, q.prompt_index)).itertuples(index=False):
            kind = ALIGNED if aligned(found.text, q.answer) else CONFLICTING
            ended = found.finish == "stop"
            completion = written.completion(q.question, found.text) if ended else written.answer(found.text)
            rows.append(place | {"kind": kind, "text": found.text, "count": found.count, "completion": completion})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    on_gpus(main)
