"""The recording of answers: the raw answers of a model are written to a generations file as soon as they are there."""

import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradual.probe.answers import Answered, Asking, Decoding, Engine, Prompt
from gradual.probe.generations import GENERATION_COLUMNS, GREEDY, SAMPLED

log = logging.getLogger("gradual")
SECONDS_BETWEEN_LINES = 10  # of progress in the log
ROWS_HELD = 50_000  # generations kept in memory before they are written


def generation_rows(answered: list[Answered]) -> Iterator[tuple[Any, ...]]:
    """A group's answers as rows, with the values of GENERATION_COLUMNS."""
    for a in answered:
        key = (a.prompt.fact_id, a.prompt.index)
        for kind, found in ((GREEDY, (a.greedy,)), (SAMPLED, a.sampled)):
            for answer in found:
                yield (*key, kind, answer.text, answer.count, answer.tokens, answer.finish)


class GenerationsFile:
    """A Parquet file of generations that grows by row groups; `constants` names its first columns, which are integers."""

    def __init__(self, path: Path, *constants: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = dict.fromkeys((*constants, "prompt_index", "count", "tokens"), pa.int64())
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
    """Stream the answers to `total` groups of prompts to a generations file, so that the use of memory does not grow.

    `constants` are the values of the file's first columns. A terminal shows the progress as a bar, and the log as lines.
    """
    from tqdm import tqdm

    begun, before = time.monotonic(), (engine.usage.prompts, engine.usage.computed_tokens)
    answers = engine.answer(groups, decoding, asking)
    written = begun
    for done, answered in enumerate(tqdm(answers, total=total, unit="fact", disable=not sys.stderr.isatty()), 1):
        file.add([(*constants.values(), *row) for row in generation_rows(answered)])
        if (now := time.monotonic()) - written >= SECONDS_BETWEEN_LINES:
            written = now
            log.info("%d of %d facts, %.1f facts/s", done, total, done / (now - begun))
    seconds = max(time.monotonic() - begun, 1e-9)
    prompts, tokens = engine.usage.prompts - before[0], engine.usage.computed_tokens - before[1]
    log.info(
        "%d prompts in %.1f s: %.1f prompts/s, %.0f tokens/s computed; so far %s",
        prompts, seconds, prompts / seconds, tokens / seconds, engine.usage,
    )  # fmt: skip
