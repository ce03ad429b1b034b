"""Generations files. Each row is a distinct answer to a prompt, with the number of times that it was given."""

from pathlib import Path

import pandas as pd

from gradual.ground.files import read_parquet

GREEDY, SAMPLED = "greedy", "sampled"  # kinds of answers
GENERATION_COLUMNS = ("fact_id", "prompt_index", "kind", "text", "count", "tokens", "finish")


def read_generations(paths: list[Path], *constants: str) -> pd.DataFrame:
    """The generations of all shards. Raises InputError for a file that cannot be read."""
    frames = [read_parquet(path, "generations", (*constants, *GENERATION_COLUMNS)) for path in paths]
    return pd.concat(frames, ignore_index=True)
