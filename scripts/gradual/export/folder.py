"""The folder of an export: it is written beside its place, and takes its place when it is whole."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from gradual.export import cards
from gradual.export.labels import category_labels, revision_labels
from gradual.export.licences import Licence, licence_of
from gradual.export.study import REPORT, Finished, read_finished
from gradual.export.weights import Base, adapter_name, base_of, copy_base, write_adapter
from gradual.ground.errors import InputError
from gradual.ground.files import digest, write_json, write_parquet, write_text
from gradual.report.page import figure_files
from gradual.study import result_files as kinds
from gradual.study.result_files import path

CARD, SUMS, ZENODO, CITATION = "README.md", "SHA256SUMS", ".zenodo.json", "CITATION.cff"
MODELS = "models"


def export(results: Path, target: Path, root: Path, licence: str | None = None) -> None:
    """Write the export of the finished study in `results` to the folder `target`, in place of an earlier export.

    `root` is the project's folder. `licence` is that of the facts, if the user names it; see `licences.licence_of`. Raises
    InputError where the study is not finished, or where there is something else at `target`.
    """
    study = read_finished(results, root / "schemas" / "config.schema.json")
    citation = yaml.safe_load((root / CITATION).read_text(encoding="utf-8"))
    terms = licence_of(study.config["dataset"], licence)
    with replaced(target) as folder:
        data = {"labels": category_labels(study, terms.texts), "revisions": revision_labels(study, terms.texts)}
        data = {name: table for name, table in data.items() if len(table)}
        for name, table in data.items():
            write_parquet(table, folder / "data" / f"{name}.parquet")
        figures = [Path(file) for file in figure_files(results / path(kinds.REPORT))]
        for file in (*map(Path, REPORT), *study.tables(), *figures):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(results / file, folder / file)
        adapters = _write_models(study, folder / MODELS, citation, terms)
        write_text(cards.data_card(study, citation, terms, data, adapters), folder / CARD)
        write_text(cards.citation_of(study, citation, terms), folder / CITATION)
        write_json(cards.zenodo(study, citation, terms), folder / ZENODO)
        _write_sums(folder / MODELS)  # of its own, because the models are another repository of the hub
        _write_sums(folder)


def _write_sums(folder: Path) -> None:
    """Write the digests of the files in a folder, if it is there; those of its models are in the folder of the models."""
    if folder.is_dir():
        files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        told = [f"{digest(folder / name)}  {name}\n" for name in files if not name.startswith(f"{MODELS}/")]
        write_text("".join(told), folder / SUMS)


def _write_models(study: Finished, folder: Path, citation: cards.Citation, terms: Licence) -> list[str]:
    """Write the adapters and the base models of a study, each with its card. Returns the names of the adapters."""
    bases: list[str] = []
    adapters: list[tuple[str, Base]] = []
    for seed, model, _ in study.of_kind(kinds.BASE):
        base = base_of(study, seed, model)
        if base.copied and base.name not in bases:  # the seeds share a model that others made
            bases.append(base.name)
            copy_base(study, seed, model, folder / base.name)
            write_text(cards.base_card(study, terms, seed, model), folder / base.name / CARD)
    for seed, model, result in study.of_kind(kinds.ADAPTER):
        name = adapter_name(seed, model, result.state)
        parts = write_adapter(study, seed, model, result.state, folder / name)
        write_text(cards.adapter_card(study, terms, seed, model, result.state, name, parts), folder / name / CARD)
        adapters.append((name, base_of(study, seed, model)))
    if bases or adapters:
        write_text(cards.models_card(study, citation, terms, bases, adapters), folder / CARD)
    return [name for name, _ in adapters]


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `target` when all went well. After an error, `target` is as it was.

    Raises InputError where `target` is there and is not an export.
    """
    if target.exists() and not (is_export(target) or (target.is_dir() and not any(target.iterdir()))):
        raise InputError(target, "is there, and is not an export", "a new folder, an empty one or an earlier export")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        made, before = Path(scratch) / "made", Path(scratch) / "before"
        made.mkdir()
        yield made
        if target.exists():
            target.rename(before)
        made.rename(target)


def is_export(folder: Path) -> bool:
    """Whether a folder is an export."""
    return all((folder / name).is_file() for name in (CARD, SUMS, ZENODO))
