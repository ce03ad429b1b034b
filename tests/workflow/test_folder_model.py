"""A base model in a local folder: Snakemake notices each change of its files, whatever their dates, and nothing else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from project_copy import copy_project, snakemake_in
from tiny import base_model
from tiny_gguf import write_gguf

STUDY = """
study: own
extends: gradual_learning
models: {own: {label: own, source: folder, path: model, runs: [stage1]}}
tables: {show: [2]}
"""
WORDS = ("--cores", "2", "--configfile", "own.yaml", "--until", "fetch_base")


def replace(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Put another file in its place, with an older date, as `cp -a` does."""
    content = change(file.read_bytes()) if file.exists() else b"x"
    file.unlink(missing_ok=True)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (1e9, 1e9))


def flipped(content: bytes) -> bytes:
    """Of the same size, with a bit changed in the middle."""
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


BESIDE = ("chat_template.jinja", "additional_chat_templates/tools.jinja", "tokenizer.model")
NOTICED = (*BESIDE, "model.safetensors", "new.jinja")


GGUF = STUDY.replace("study: own", "study: gguf").replace("path: model,", "path: gguf, gguf_file: a.gguf,")


def test_a_change_of_a_gguf_file_or_of_its_dtype_is_noticed_and_a_new_seed_takes_the_same_model(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = copy_project(tmp_path_factory.mktemp("gguf") / "project")
    (folder / "gguf").mkdir()
    write_gguf(folder / "gguf" / "a.gguf", kind="Q8_0")
    words = ("--cores", "2", "--configfile", "own.yaml", "--until", "fetch_base")

    def done(study: str, *more: str) -> str:
        (folder / "own.yaml").write_text(study)
        ran = snakemake_in(folder)(*words, *more)
        assert ran.returncode == 0, ran.stdout[-3000:]
        return ran.stdout

    done(GGUF + "seeds: [0, 1]\n")
    (place,) = (folder / "data" / "models").glob("*/model")
    handles = [json.loads(path.read_text()) for path in (folder / "results" / "gguf").rglob("base.json")]
    assert len(handles) == 2 and all(handle["path"] == str(place) for handle in handles)
    assert "rule fetch_base" not in done(GGUF, "-n")
    (folder / "gguf" / "b.gguf").write_text("another file")
    assert "rule fetch_base" not in done(GGUF, "-n")
    assert "rule fetch_base" in done(GGUF.replace("a.gguf,", "a.gguf, dtype: bfloat16,"), "-n")
    replace(folder / "gguf" / "a.gguf", flipped)
    assert "rule fetch_base" in done(GGUF, "-n")


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a study of a folder's model, whose handle has been made."""
    folder = copy_project(tmp_path_factory.mktemp("own") / "project")
    base_model(folder / "model").unlink()
    (folder / "model" / "additional_chat_templates").mkdir()
    for name in BESIDE:
        (folder / "model" / name).write_text("as it was")
    (folder / "own.yaml").write_text(STUDY)
    done = snakemake_in(folder)(*WORDS)
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


def jobs(folder: Path) -> str:
    done = snakemake_in(folder)("-n", *WORDS)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", NOTICED)
def test_a_change_of_a_models_file_is_noticed_whatever_its_date(name, fetched):
    file, saved = fetched / "model" / name, fetched / "saved"
    shutil.rmtree(saved, ignore_errors=True)
    shutil.copytree(fetched / "model", saved)
    try:
        replace(file, flipped)
        assert "rule fetch_base" in jobs(fetched)
    finally:
        shutil.rmtree(fetched / "model")
        saved.rename(fetched / "model")


def test_a_copy_of_the_files_with_other_dates_is_no_change(fetched):
    """The test above leaves such a copy; so it can fail."""
    for file in (fetched / "model").rglob("*"):
        file.touch()
    (fetched / "model" / "notes.md").write_text("no part of the model")
    assert "rule fetch_base" not in jobs(fetched)
    handle = next((fetched / "results" / "own").rglob("base.json"))
    before = handle.read_bytes()
    handle.unlink()
    done = snakemake_in(fetched)(*WORDS)
    assert done.returncode == 0, done.stdout[-3000:]
    assert handle.read_bytes() == before
