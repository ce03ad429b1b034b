"""The recording of answers: the raw answers of a model are written to a generations file as soon as they are there.

A job that is killed keeps its answers. They lie in a folder beside the file, until the file is whole.
"""

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import write_atomically
from gradual.ground.seeding import digest_of
from gradual.probe.answers import Answered, Asking, Decoding, Engine, Prompt, Usage
from gradual.probe.generations import GENERATION_COLUMNS, GREEDY, SAMPLED

log = logging.getLogger("gradual")
SECONDS_BETWEEN_LINES = 10  # of progress in the log
SECONDS_UNKEPT = 60  # of work that a killed job may lose, beside what is being answered
ROWS_HELD = 50_000  # generations kept in memory before they are written
ABOUT = b"gradual"  # the key of a portion's metadata


def generation_rows(answered: list[Answered]) -> Iterator[tuple[Any, ...]]:
    """A group's answers as rows, with the values of GENERATION_COLUMNS."""
    for a in answered:
        key = (a.prompt.fact_id, a.prompt.index)
        for kind, found in ((GREEDY, (a.greedy,)), (SAMPLED, a.sampled)):
            for answer in found:
                yield (*key, kind, answer.text, answer.count, answer.tokens, answer.finish)


def kept_folder(file: Path, key: object) -> Path:
    """The folder for the answers of a killed job. `key` is everything that the answers in `file` follow from."""
    return file.with_name(f"{file.stem}.kept-{digest_of(key)}")


class GenerationsFile:
    """A Parquet file of generations that grows by row groups; `constants` names its first columns, which are integers.

    The folder `kept` holds the answers of an earlier job that was killed, in portions. The file begins with them.
    `usage` is the work that they took. The folder goes when the file is whole.
    """

    def __init__(self, path: Path, kept: Path, *constants: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = dict.fromkeys((*constants, "prompt_index", "count", "tokens"), pa.int64())
        columns = (*constants, *GENERATION_COLUMNS)
        self.schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
        self.writer = pq.ParquetWriter(path, self.schema, compression="zstd")
        self.rows: list[tuple[Any, ...]] = []  # not yet in the file
        self.unkept: list[tuple[Any, ...]] = []  # not yet in a portion
        self.kept, self.usage = kept, Usage()
        self.groups: dict[str, int] = {}  # in the portions, by the values of the constants
        self.written = time.monotonic()
        for portion in sorted(kept.glob("*.parquet")):
            self._take(portion)

    def _take(self, portion: Path) -> None:
        """Copy a portion into the file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(portion)
            about = json.loads(table.schema.metadata[ABOUT])
        except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                portion, f"cannot be read ({error})", f"answers that were kept, or no {self.kept}"
            ) from error
        self.writer.write_table(table.replace_schema_metadata(None))
        self.groups, self.usage = about["groups"], Usage(**about["usage"])

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        """Add a group's rows."""
        self.rows += rows
        self.unkept += rows
        if len(self.rows) >= ROWS_HELD:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are in memory."""
        self.writer.write_table(self._table(self.rows))
        self.rows = []

    def keep(self, constants: dict[str, int], groups: int, usage: Usage) -> None:
        """Keep the answers so far in a further portion, if the last one was long ago.

        They are those to the first `groups` groups with the `constants`, and to all groups with earlier ones.
        """
        import pyarrow.parquet as pq

        self.groups[_name(constants)] = groups
        if time.monotonic() - self.written < SECONDS_UNKEPT:
            return
        about = json.dumps({"groups": self.groups, "usage": asdict(usage)})
        table = self._table(self.unkept).replace_schema_metadata({ABOUT: about})
        with write_atomically(self.kept / f"{len([*self.kept.glob('*.parquet')]):06}.parquet") as temporary:
            pq.write_table(table, temporary, compression="zstd")
        self.unkept, self.written = [], time.monotonic()

    def answered(self, constants: dict[str, int]) -> int:
        """The number of groups with these constants whose answers an earlier job kept."""
        return self.groups.get(_name(constants), 0)

    def _table(self, rows: list[tuple[Any, ...]]) -> Any:
        import pyarrow as pa

        columns = list(zip(*rows, strict=True)) or [()] * len(self.schema)
        return pa.table([list(column) for column in columns], schema=self.schema)

    def __enter__(self) -> "GenerationsFile":
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self.flush()
        self.writer.close()
        if error[0] is None:
            shutil.rmtree(self.kept, ignore_errors=True)


def _name(constants: dict[str, int]) -> str:
    return json.dumps(constants)


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

    `constants` are the values of the file's first columns. Groups that an earlier job answered are left out. A terminal
    shows the progress as a bar, and the log as lines.
    """
    from tqdm import tqdm

    begun, before = time.monotonic(), (engine.usage.prompts, engine.usage.computed_tokens)
    first = file.answered(constants)
    if first:
        log.info("%d of %d facts were answered before this job started again", first, total)
    answers = engine.answer(islice(groups, first, None), decoding, asking)
    bar = tqdm(answers, total=total, initial=first, unit="fact", disable=not sys.stderr.isatty())
    number = 0
    with _progress_lines(engine, first, total):
        for number, answered in enumerate(bar, 1):
            file.add([(*constants.values(), *row) for row in generation_rows(answered)])
            if engine.progress().whole == number:
                file.keep(constants, first + number, engine.usage)
    file.keep(constants, first + number, engine.usage)
    seconds = max(time.monotonic() - begun, 1e-9)
    prompts, tokens = engine.usage.prompts - before[0], engine.usage.computed_tokens - before[1]
    log.info(
        "%d prompts in %.1f s: %.1f prompts/s, %.0f tokens/s computed; so far %s",
        prompts, seconds, prompts / seconds, tokens / seconds, engine.usage,
    )  # fmt: skip


@contextmanager
def _progress_lines(engine: Engine, first: int, total: int) -> Iterator[None]:
    """Meanwhile, tell every few seconds how many of `total` facts are answered; `first` of them were at the beginning.

    A thread of its own tells it, because answers come in waves, and a large model needs minutes for a wave.
    """
    begun, over = time.monotonic(), threading.Event()

    def tell() -> None:
        while not over.wait(SECONDS_BETWEEN_LINES):
            log.info("%s", progress_line(first, engine.progress().done, total, time.monotonic() - begun))

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def progress_line(first: int, done: float, total: int, seconds: float) -> str:
    """How far a job is that has answered `done` facts in `seconds`, after `first` of `total` were answered before."""
    told = f"{first + done:.0f} of {total} facts"
    if not done:
        return told
    left = (total - first - done) * seconds / done
    return f"{told}, {done / seconds:.2g} facts/s, {f'{left / 60:.0f} min' if left >= 100 else f'{left:.0f} s'} left"
