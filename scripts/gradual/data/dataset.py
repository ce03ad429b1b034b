"""A study's dataset: where its raw files are, and which of their facts the study keeps."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pandas as pd

from gradual.data import facts as f
from gradual.data import subsets
from gradual.data.readers.raw import RawFile, verify
from gradual.ground.choices import Choice
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.ground.seeding import digest_of

log = logging.getLogger("gradual")
WORLD = "world"  # the reader of a generated world, which has no raw files
OWN_FORMAT = (WORLD, "entity_questions", "wikiqa")  # other readers read tables: their config may name `files`
NAMED_COLUMNS = ("table", "jsonl")  # readers whose config may name `columns`; in the others, the layout has them
# Each place is a Reader (readers/raw.py), except the function of the generated world.
READERS = Choice(
    "reader",
    {
        "world": "gradual.data.generated_world:read",
        "table": "gradual.data.readers.table:READER",
        "entity_questions": "gradual.data.readers.entity_questions:READER",
        "wikiqa": "gradual.data.readers.wikiqa:READER",
        "nq_open": "gradual.data.readers.table:READER",
        "trivia_qa": "gradual.data.readers.trivia_qa:READER",
        "popqa": "gradual.data.readers.popqa:READER",
        "web_questions": "gradual.data.readers.web_questions:READER",
        "simple_qa": "gradual.data.readers.simple_qa:READER",
        "counterfact": "gradual.data.readers.counterfact:READER",
        "lama": "gradual.data.readers.lama:READER",
        "jsonl": "gradual.data.readers.table:READER",
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
    if dataset["reader"] == WORLD:
        file = "world"
        table, communities = READERS[WORLD](world, seed)
    elif source is None:
        raise InputError("dataset", "no raw files are given", f"files for reader: {dataset['reader']}", key="path")
    else:
        file = str(source)
        check_manifest(dataset, source)
        columns = {"columns": dataset["columns"]} if dataset["columns"] else {}
        reader = READERS[dataset["reader"]]
        table = reader.read(source, type_from=dataset["type_from"], **columns, **_files(dataset))
        communities = pd.DataFrame({"subject": [], "community": []}, dtype=str)
    read = f.count(f.validate(table, file))
    table = subsets.keep(table, dataset, seed, file)
    for split in ("train", "dev", "test"):
        if split in set(table["split"]):
            continue
        if split in set(read["split"]):
            problem = f"all facts of split {split!r} were left out"
            expected = "other dataset.single_answer (one answer per fact), dataset.relations or dataset.drop_overlap"
            raise InputError(file, problem, expected, key="dataset.single_answer")
        raise InputError(file, f"has no facts in split {split!r}", "train, dev and test facts", key="dataset.carve")
    for split, shots in exemplars.items():
        subsets.check_exemplars(table, split, shots, file)
    counts = pd.concat([read.assign(stage="read"), f.count(table).assign(stage="kept")])
    return Dataset(table, communities, counts[["stage", "split", "facts", "single_answer", "relations"]])


def _files(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The files that the config names, for a reader."""
    return {"files": dataset["files"]} if dataset["files"] else {}


def find_files(dataset: Mapping[str, Any], source: Path) -> list[RawFile]:
    """The files of a source that the dataset's reader reads. Raises InputError where they are not clear."""
    found: list[RawFile] = READERS[dataset["reader"]].find(source, **_files(dataset))
    return found


def check_manifest(dataset: Mapping[str, Any], source: Path, root: Path = Path()) -> None:
    """Check the raw files against the manifest, if there is one. Raises InputError where one is missing or another."""
    if dataset["manifest"]:
        count = verify(source, find_files(dataset, source), root / dataset["manifest"])
        log.info("%d raw files have the digests of the manifest", count)


def download_path(dataset: Mapping[str, Any]) -> Path | None:
    """Where the dataset's url is downloaded to, in the project's folder. Studies with the same url share the file.

    The folder is named by the url, because other urls may end in the same name.
    """
    url = dataset["url"]
    if not url:
        return None
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name)
    return Path("data/downloads", digest_of(url), name or "download")


def raw_source(dataset: Mapping[str, Any], root: Path = Path()) -> Path | None:
    """The raw files: the local path if it exists or there is no url, else the download. None for a generated world.

    Raises InputError for a path that the machine cannot look at.
    """
    download = download_path(dataset)
    if not dataset["path"]:
        return download
    try:
        path = Path(dataset["path"]).expanduser()
        there = (root / path).exists()
    except (OSError, RuntimeError) as error:
        raise InputError(
            "dataset", f"{dataset['path']!r} cannot be used ({error})", "a readable path", key="path"
        ) from error
    return path if there or not download else download


def raw_files(dataset: Mapping[str, Any]) -> list[Path]:
    """The files on this machine that the reader reads: those that Snakemake tracks.

    Empty for a download, because the config has the digest of what is read from it. A source that cannot be read is
    itself the file, so that the job that reads it says why.
    """
    source = raw_source(dataset)
    if source is None or source == download_path(dataset):
        return []
    try:
        return sorted({file.origin for file in find_files(dataset, source)})
    except (InputError, OSError):
        return [source]


def raw_digest(dataset: Mapping[str, Any]) -> str:
    """A digest of the names and contents of `raw_files`. It tells a file that was replaced by an older one.

    Snakemake looks only at files that are newer than their results.
    """
    return digest_of(*((file.name, digest(file)) for file in raw_files(dataset) if file.is_file()))
