"""A study's dataset: where its raw files are, and which of their facts the study keeps."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from gradual.data import facts as f
from gradual.data import subsets
from gradual.data.readers.raw import verify
from gradual.ground.choices import Choice
from gradual.ground.errors import InputError

log = logging.getLogger("gradual")
WORLD = "world"  # the reader of a generated world, which has no raw files
# Each place, except the generated world's, is called as `read(source, *, type_from)`, and turns a folder or a .zip archive
# into a facts table. `type_from` (question_word or one_pool) declares the type of a question if its dataset has no types. A
# reader raises InputError with the file, the row (a line, or a place in a JSON list, both from 1) and the key.
READERS = Choice(
    "reader",
    {
        "world": "gradual.data.generated_world:read",
        "entity_questions": "gradual.data.readers.entity_questions:read",
        "wikiqa": "gradual.data.readers.wikiqa:read",
        "jsonl": "gradual.data.readers.jsonl:read",
    },
)


class Dataset(NamedTuple):
    """The study's facts, the communities of their subjects, and the counts of facts as read and as kept."""

    facts: pd.DataFrame
    communities: pd.DataFrame
    counts: pd.DataFrame


def build_dataset(
    dataset: Mapping[str, Any], world: Mapping[str, Any], source: Path | None, exemplars: Mapping[str, int], seed: int
) -> Dataset:
    """The facts that a study keeps; `dataset` and `world` are the config's sections.

    `exemplars` maps a split to the number of exemplars that a prompt takes from it. Each relation must have one fact more.
    Raises InputError for raw files that cannot be used, and where a split or an exemplar is missing.
    """
    reader = READERS[dataset["reader"]]
    if dataset["reader"] == WORLD:
        file = "world"
        table, communities = reader(world, seed)
    elif source is None:
        raise InputError("dataset", "no raw files are given", f"files for reader: {dataset['reader']}", key="path")
    else:
        file = str(source)
        if dataset["manifest"]:
            log.info("%d raw files have the digests of the manifest", verify(source, Path(dataset["manifest"])))
        table = reader(source, type_from=dataset["type_from"])
        communities = pd.DataFrame({"subject": [], "community": []}, dtype=str)
    read = f.count(f.validate(table, file))
    table = subsets.keep(table, dataset, seed, file)
    for split in ("train", "dev", "test"):
        if split not in set(table["split"]):
            raise InputError(file, f"has no facts in split {split!r}", "train, dev and test facts", key="dataset.carve")
    for split, shots in exemplars.items():
        subsets.check_exemplars(table, split, shots, file)
    counts = pd.concat([read.assign(stage="read"), f.count(table).assign(stage="kept")])
    return Dataset(table, communities, counts[["stage", "split", "facts", "single_answer", "relations"]])


def download_path(dataset: Mapping[str, Any]) -> str | None:
    """Where the dataset's url is downloaded to, in the project's folder. Studies with the same url share the file."""
    url = dataset["url"]
    return f"data/{url.rpartition('/')[2]}" if url else None


def raw_source(dataset: Mapping[str, Any], root: Path = Path()) -> Path | None:
    """The raw files: the local path if it exists or there is no url, else the download. None for a generated world."""
    path, download = dataset["path"], download_path(dataset)
    if path and ((root / Path(path).expanduser()).exists() or not download):
        return Path(path).expanduser()
    return Path(download) if download else None


def raw_files(source: Path | None) -> list[str]:
    """The files of a source that Snakemake tracks: the data files of a folder, or the archive."""
    if source and source.is_dir():
        return sorted(str(path) for path in source.rglob("*") if path.suffix in (".json", ".jsonl", ".tsv"))
    return [str(source)] if source else []
