"""Probing: every fact is asked with several few-shot prompts, and the raw answers are written as they come."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.engines.interface import (
    GENERATION_COLUMNS,
    GREEDY,
    LIKELIHOOD,
    SAMPLED,
    Answered,
    Asking,
    Decoding,
    Engine,
    Prompt,
)
from gradual.files import read_parquet
from gradual.prompts import BEFORE_ANSWER, ExemplarPool, PromptSettings, exemplars_of, seeded

log = logging.getLogger("gradual")
SECONDS_BETWEEN_LINES = 10  # of progress in the log
ROWS_HELD = 50_000  # generations kept in memory before they are written


def shard(facts: pd.DataFrame, index: int, count: int) -> pd.DataFrame:
    """One of `count` parts of the facts, neighbours in the canonical order; together they are all facts."""
    edges = [round(i * len(facts) / count) for i in range(count + 1)]
    return facts.iloc[edges[index] : edges[index + 1]]


def fact_prompts(
    facts: pd.DataFrame,
    pool: ExemplarPool,
    settings: PromptSettings,
    prompts: int,
    render: Callable[..., str],
    before_answer: str = BEFORE_ANSWER["plain"],
) -> Iterator[list[Prompt]]:
    """The prompts of each fact, as a stream; `before_answer` stands between a prompt's text and its gold answer."""
    for fact in facts.itertuples(index=False):
        gold = before_answer + fact.answers[0]
        yield [
            Prompt(fact.fact_id, index, render(exemplars_of(fact, index, pool, settings), fact.question), gold)
            for index in range(prompts)
        ]


def probe_of(
    probed: pd.DataFrame,
    pool: ExemplarPool,
    render: Callable[..., str],
    settings: Mapping[str, Any],
    sampling: Mapping[str, Any] | None,
    seed: int,
    state: str,
    probe: int,
) -> tuple[Iterator[list[Prompt]], Decoding]:
    """The prompts of a probe and how they are answered, by the config's probe section; greedily without `sampling`."""
    # Every probe draws prompts and samples of its own; the sets that relations share stay the same for all states.
    own = seeded("probe", seed, state, probe)
    key = seeded("probe", seed, probe) if settings["exemplars"] == "per_relation" else own
    drawn = PromptSettings(key, settings["shots"], settings["exemplars"])
    decoding = Decoding(
        max_new_tokens=settings["max_new_tokens"],
        stop=tuple(settings["stop"]),
        repetition_penalty=settings["repetition_penalty"],
        seed=own,
        likelihood=bool(sampling) and sampling["sampled"] == LIKELIHOOD,
        **{key: sampling[key] for key in ("samples", "temperature", "top_k") if sampling},
    )
    between = BEFORE_ANSWER[settings["format"]]
    return fact_prompts(probed, pool, drawn, settings["prompts"], render, between), decoding


def unsolved(answers: pd.Series) -> Callable[[list[Answered]], bool]:
    """Whether no greedy answer of a fact is verbatim its gold answer.

    Sampled answers matter only where no greedy answer is right. A verbatim answer is right under every scoring rule, so
    sampling the facts without one gives the same categories as sampling all facts, whichever rule is applied later.
    """

    def wants_samples(answered: list[Answered]) -> bool:
        gold = answers[answered[0].prompt.fact_id].strip()
        return all(a.greedy.text != gold for a in answered)

    return wants_samples


def generation_rows(answered: list[Answered], samples: int = 0) -> Iterator[tuple[Any, ...]]:
    """The rows of GENERATION_COLUMNS of a group's answers; a likelihood stands for so many samples."""
    for a in answered:
        key = (a.prompt.fact_id, a.prompt.index)
        for kind, found in ((GREEDY, (a.greedy,)), (SAMPLED, a.sampled)):
            for answer in found:
                yield (*key, kind, answer.text, answer.count, answer.tokens, answer.finish, None)
        if a.likelihood is not None:
            yield (*key, LIKELIHOOD, a.prompt.gold.strip(), samples, 0, None, a.likelihood)


class GenerationsFile:
    """A Parquet file of generations that grows by row groups; `constants` are names of leading integer columns."""

    def __init__(self, path: Path, *constants: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = dict.fromkeys((*constants, "prompt_index", "count", "tokens"), pa.int64()) | {
            "probability": pa.float64()
        }
        columns = (*constants, *GENERATION_COLUMNS)
        self.schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
        self.writer = pq.ParquetWriter(path, self.schema, compression="zstd")
        self.rows: list[tuple[Any, ...]] = []

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows += rows
        if len(self.rows) >= ROWS_HELD:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.schema)
        self.writer.write_table(pa.table([list(column) for column in columns], schema=self.schema))
        self.rows = []

    def __enter__(self) -> "GenerationsFile":
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self.flush()
        self.writer.close()


def append_generations(
    engine: Engine,
    groups: Iterator[list[Prompt]],
    total: int,
    decoding: Decoding,
    asking: Asking,
    file: GenerationsFile,
    **constants: int,
) -> None:
    """Stream the answers to `total` groups of prompts to a generations file; memory stays flat.

    `constants` are the values of the file's leading columns. A bar shows progress on a terminal; the log has lines.
    """
    from tqdm import tqdm

    begun, before = time.monotonic(), (engine.usage.prompts, engine.usage.computed_tokens)
    answers = engine.answer(groups, decoding, asking)
    written = begun
    for done, answered in enumerate(tqdm(answers, total=total, unit="fact", disable=not sys.stderr.isatty()), 1):
        file.add([(*constants.values(), *row) for row in generation_rows(answered, decoding.samples)])
        if (now := time.monotonic()) - written >= SECONDS_BETWEEN_LINES:
            written = now
            log.info("%d of %d facts, %.1f facts/s", done, total, done / (now - begun))
    seconds = max(time.monotonic() - begun, 1e-9)
    prompts, tokens = engine.usage.prompts - before[0], engine.usage.computed_tokens - before[1]
    log.info(
        "%d prompts in %.1f s: %.1f prompts/s, %.0f tokens/s computed; so far %s",
        prompts, seconds, prompts / seconds, tokens / seconds, engine.usage,
    )  # fmt: skip


def read_generations(paths: list[Path], *constants: str) -> pd.DataFrame:
    """The generations of all shards, InputError for a file that cannot be read."""
    frames = [read_parquet(path, "generations", (*constants, *GENERATION_COLUMNS)) for path in paths]
    return pd.concat(frames, ignore_index=True)
