"""Measure how many prompts a second each way of probing answers, and what categories it gives, in one process."""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

import peers
from gradual.ground.files import read_json, write_csv, write_parquet
from gradual.knowledge.categories import categorize
from gradual.knowledge.scoring import count_right, grade
from gradual.knowledge.settling import until_settled
from gradual.models.handle import model_folder
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import GREEDY_ANSWERS, Asking, Deployment, Engine, Prompt
from gradual.probe.engines.load import load_engine
from gradual.probe.generations import SAMPLED
from gradual.probe.questions import exactly
from gradual.probe.recording import generation_rows
from gradual.workflow.starting import report
from machine import PRODUCTS, count_rows, product_rates
from repetitions import fitting, in_turns
from subject import Questions, Subject, add_subject, subject


@dataclass(frozen=True)
class Done:
    """What a way did in one repetition: its answers (rows of peers.ROW), positions that went through the model; and, what
    peers do not tell, the prompts that it asked and the positions whose next token was predicted."""

    answers: list[tuple]
    computed_tokens: int
    asked_prompts: int | None = None
    predicted_tokens: int | None = None


@dataclass(frozen=True)
class Way:
    """A way of asking some of the questions: those of so many `facts` or, with 0, as many as take about so many `seconds`.

    `answer` gets prompts and a seed.
    """

    name: str
    questions: Questions
    answer: Callable[[list[list[Prompt]], int], Done]
    seconds: float
    facts: int = 0


def asking(asked: str, golds: pd.Series, scoring: str) -> Asking:
    """What a way asks of a fact: `greedy` answers, `all` answers, samples of what is `unsolved`, or as `settled`."""
    if asked == "greedy":
        return GREEDY_ANSWERS
    return until_settled(golds, scoring) if asked == "settled" else exactly(golds, asked)


def our_ways(
    name: str,
    engine: Engine,
    predicted: Callable[[], int],
    forget: Callable[[], Any],
    measured: Subject,
    settings: dict,
) -> list[Way]:
    """An engine, by what it asks; it is to `forget` what it has cached of earlier repetitions."""
    decoding, scoring = measured.decoding(), measured.config["scoring"]

    def answer(asked: Asking, groups: list[list[Prompt]], seed: int) -> Done:
        forget()
        before, predicted_before = replace(engine.usage), predicted()
        answered = chain.from_iterable(engine.answer(groups, replace(decoding, seed=seed), asked))
        rows = [row[: len(peers.ROW)] for row in generation_rows(answered)]
        after = engine.usage
        counts = (after.computed_tokens - before.computed_tokens, after.prompts - before.prompts)
        return Done(rows, *counts, predicted() - predicted_before)

    asked_of = [Questions(measured, engine.tokenizer, exemplars) for exemplars in settings["exemplars"]]
    return [
        Way(
            f"{name}, {asked}",
            questions,
            partial(answer, asking(asked, questions.golds, scoring)),
            settings["seconds"],
            settings["facts"],
        )
        for questions in asked_of
        for asked in settings["asked"]
    ]


def ways_of_generate(measured: Subject, settings: dict) -> list[Way]:
    """transformers' `generate`; of the sizes of its batches, the one that is best for it."""
    tokenizer, model = load_tokenizer(measured.base), load_model(measured.base, [], measured.dtype)
    computed = count_rows(model.get_input_embeddings())
    generate, decoding = peers.Generate(model, tokenizer, measured.special_tokens), measured.decoding()

    def answer(ask: Callable, batch: int, groups: list[list[Prompt]], seed: int) -> Done:
        before = computed()
        rows = list(ask(list(chain.from_iterable(groups)), decoding, seed, batch))
        return Done(rows, computed() - before)

    asked_of = {exemplars: Questions(measured, tokenizer, exemplars) for exemplars in settings["exemplars"]}
    first = next(iter(asked_of.values()))

    def seconds_per_fact(batch: int) -> float:
        groups = first.of(-(-2 * batch // measured.config["probe"]["prompts"]))
        begun = time.perf_counter()
        answer(generate.in_batches, batch, groups, 0)
        return (time.perf_counter() - begun) / len(groups)

    best = min(settings["batches"], key=seconds_per_fact)
    several, less = f"generate(num_return_sequences={decoding.samples})", settings["less_seconds"]
    batched = partial(answer, generate.in_batches, best)
    return [
        *(Way(f"{several}, batches of {best}", q, batched, settings["seconds"]) for q in asked_of.values()),
        Way(f"{several}, one prompt at a time", first, partial(answer, generate.in_batches, 1), less),
        Way("generate, every answer by itself", first, partial(answer, generate.exhaustively, best), less),
    ]


def way_of_plain_vllm(measured: Subject, settings: dict) -> Way:
    """vLLM as it comes, after the engine has set the environment in which it runs in this process."""
    folder = model_folder(measured.base)
    positions = read_json(folder / "config.json", "a model's config")["max_position_embeddings"]
    plain, decoding = peers.PlainVllm(folder, measured.dtype, positions, measured.special_tokens), measured.decoding()
    questions = Questions(measured, load_tokenizer(measured.base), settings["exemplars"][0])

    def answer(groups: list[list[Prompt]], seed: int) -> Done:
        before = plain.computed_tokens
        rows = list(plain.all_at_once(list(chain.from_iterable(groups)), decoding, seed))
        return Done(rows, plain.computed_tokens - before)

    return Way(f"vLLM's LLM.generate(n={decoding.samples})", questions, answer, settings["seconds"])


def all_ways(name: str, measured: Subject, settings: dict) -> list[Way]:
    """The ways that this engine's environment can measure; the peers' first."""
    probe_format, half = measured.config["probe"]["format"], Deployment(memory_share=peers.GPU_SHARE)
    engine = load_engine(name, measured.base, [], probe_format, measured.dtype, half)
    if name == "vllm":
        settings = settings | {"seconds": settings["less_seconds"]}
        # Each token of an answer is predicted by itself.
        told = (lambda: engine.usage.answer_tokens, lambda: (engine._encode.forget(), engine._forget()))
        return [way_of_plain_vllm(measured, settings), *our_ways("probe with vLLM", engine, *told, measured, settings)]
    told = (count_rows(engine.model.get_output_embeddings()), engine._encode.forget)
    return [*ways_of_generate(measured, settings), *our_ways("probe", engine, *told, measured, settings)]


def categories(done: Done, golds: pd.Series, scoring: str) -> pd.DataFrame:
    """The category of each fact that was asked, by the study's scoring rule, for every way alike."""
    graded = grade(pd.DataFrame(done.answers, columns=peers.ROW), golds)
    mode = "full" if (graded["kind"] == SAMPLED).any() else "greedy"
    return categorize(count_right(graded), scoring, mode, "answers")[["fact_id", "category"]]


def measure(
    ways: Sequence[Way], rows: Sequence[int], measured: Subject, repetitions: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row per way and repetition, matrix products of so many `rows` among them; and the categories of its facts."""
    probe, facts = measured.config["probe"], len(measured.train_facts())
    sizes = {
        way: way.facts or fitting(lambda size, way=way: way.answer(way.questions.of(size), 0), facts, way.seconds)
        for way in ways
    }
    asked = {way: way.questions.of(size) for way, size in sizes.items()}
    works = {way: partial(way.answer, asked[way]) for way in ways}
    rates = product_rates(measured.base, measured.dtype, rows)
    runs, found = [], []
    for way, repetition, seconds, done in in_turns(works | rates, repetitions):
        if way in rates:
            runs.append({"way": PRODUCTS, "rows": way, "repetition": repetition, "gflop_per_s": done})
            continue
        name = {"way": way.name, "exemplars": way.questions.exemplars, "repetition": repetition}
        runs.append(
            name
            | {"facts": sizes[way], "prompts": sizes[way] * probe["prompts"], "seconds": seconds}
            | {"prompt_tokens": way.questions.tokens(asked[way]), "computed_tokens": done.computed_tokens}
            | {"asked_prompts": done.asked_prompts, "predicted_tokens": done.predicted_tokens}
        )
        found.append(categories(done, way.questions.golds, measured.config["scoring"]).assign(**name))
    return pd.DataFrame(runs), pd.concat(found, ignore_index=True)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_subject(parser)
    parser.add_argument("--engine", choices=["transformers", "vllm"], required=True)
    parser.add_argument("--rows", type=int, nargs="+", required=True, help="of the matrix products")
    parser.add_argument("--categories", type=Path, required=True, help="Parquet: a row per way, repetition and fact")
    args = parser.parse_args(argv)
    measured = subject(args)
    ways = all_ways(args.engine, measured, args.settings)
    runs, found = measure(ways, args.rows, measured, args.repetitions)
    write_csv(runs.convert_dtypes().assign(process=f"probe, {args.engine}"), args.runs)
    write_parquet(found, args.categories)


if __name__ == "__main__":
    report(main)
