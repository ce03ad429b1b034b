"""What is read from local files is what Snakemake tracks."""

import gzip
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from gradual.data import dataset as module
from gradual.data.dataset import READERS, build_dataset, raw_digest, raw_files, raw_source
from gradual.data.readers.entity_questions import TEMPLATES
from gradual.data.readers.raw import RawFile
from gradual.data.readers.wikiqa import PHRASE_COLUMNS, SENTENCE_COLUMNS
from gradual.study.config import load_config

ROOT = Path(__file__).resolve().parents[3]
ROW = json.dumps({"question": "Where is it?", "answer": "here"}) + "\n"
LAMA = json.dumps({"predicate_id": "P19", "sub_label": "s", "obj_label": "o"}) + "\n"


def entity_files():
    rows = json.dumps([{"question": TEMPLATES["P17"].format("it"), "answers": ["x"]}])
    return {f"dataset/{split}/P17.{split}.json": rows for split in ("train", "dev", "test")}


# The files that each reader reads, and others beside them.
SOURCES = {
    "entity_questions": (entity_files(), {"dataset/train/one_off.json": "[]", "README.md": ""}),
    "wikiqa": (
        {"WikiQASent.pos.ans.tsv": "\t".join([*SENTENCE_COLUMNS, *PHRASE_COLUMNS]) + "\nQ\tq?\tD\tT\tS\ts\ta\t\t\n"},
        {"WikiQA-dev.txt": "", "other.tsv": ""},
    ),
    "table": (
        {"deep/train/0.jsonl.gz": gzip.compress(ROW.encode()), "deep/test/0.csv": "question,answer\nq?,a\n"},
        {"notes.csv": "", "deep/train/.part": "", "state.json": "{}"},
    ),
    "lama": (
        {"relations.jsonl": json.dumps({"relation": "P19", "template": "[X] [Y]"}) + "\n", "TREx/P19.jsonl": LAMA},
        {"ConceptNet/test.jsonl": ROW},
    ),
}


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def section(path, reader, **keys):
    return (
        dict.fromkeys(("url", "sha256", "manifest", "columns", "files")) | {"path": str(path), "reader": reader} | keys
    )


@pytest.fixture(params=["folder", "linked folder", "archive"])
def source(request, tmp_path):
    """A function that makes a source of files."""

    def make(files):
        write(tmp_path / "far", files)
        if request.param == "folder":
            return tmp_path / "far"
        if request.param == "archive":
            return Path(shutil.make_archive(str(tmp_path / "d"), "zip", tmp_path / "far"))
        (tmp_path / "near").mkdir()
        for entry in (tmp_path / "far").iterdir():
            (tmp_path / "near" / entry.name).symlink_to(entry)
        return tmp_path / "near"

    return make


@pytest.mark.parametrize("reader", SOURCES)
def test_what_is_read_is_what_is_tracked(monkeypatch, source, reader):
    files, others = SOURCES[reader]
    dataset = section(source(files | others), reader)
    seen, read = [], RawFile.content
    monkeypatch.setattr(RawFile, "content", lambda file: seen.append(file.origin) or read(file))
    READERS[reader].read(raw_source(dataset), type_from="one_pool")
    assert raw_files(dataset) == sorted(set(seen))
    assert len(seen) == len(files)


@pytest.mark.parametrize("reader", SOURCES)
def test_a_file_replaced_by_an_older_one_changes_the_digest_and_dates_do_not(source, reader):
    files, others = SOURCES[reader]
    dataset = section(source(files | others), reader)
    before = raw_digest(dataset)
    for file in raw_files(dataset):
        os.utime(file, (1, 1))
    assert raw_digest(dataset) == before
    for file in raw_files(dataset):
        content, size = file.read_bytes(), file.stat().st_size
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(file, (1, 1))
        assert file.stat().st_size == size and raw_digest(dataset) != before
        file.write_bytes(content)


def test_what_is_downloaded_is_not_tracked_because_the_config_has_its_digest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = section("data/mine", "table", url="https://a.org/b.jsonl", sha256="0" * 64)
    before = raw_digest(dataset)
    write(tmp_path, {raw_source(dataset): ROW})
    assert (raw_files(dataset), raw_digest(dataset)) == ([], before)
    write(tmp_path, {"data/mine/train.jsonl": ROW})
    assert raw_files(dataset) == [Path("data/mine/train.jsonl")]


def test_a_source_that_is_not_clear_is_told_by_the_job_that_reads_it(tmp_path):
    write(tmp_path, {"a.csv": "", "b.csv": ""})
    assert raw_files(section(tmp_path, "table")) == [tmp_path]
    assert raw_files(section(tmp_path / "absent", "table")) == [tmp_path / "absent"]
    assert raw_digest(section(tmp_path, "table")) == raw_digest(section(tmp_path / "absent", "table"))


@pytest.mark.parametrize("home", [False, True])
def test_paths_outside_the_project(tmp_path, monkeypatch, home):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, {"mine/train.jsonl": ROW})
    dataset = section("~/mine" if home else tmp_path / "mine", "table")
    assert raw_files(dataset) == [tmp_path / "mine/train.jsonl"]


def test_the_manifest_is_compared_with_what_is_read(tmp_path):
    write(tmp_path / "d", {"train.jsonl": "".join(ROW.replace("it", f"it {i}") for i in range(40))})
    digest = hashlib.sha256((tmp_path / "d/train.jsonl").read_bytes()).hexdigest()
    (tmp_path / "m").write_text(f"{digest}  train.jsonl\n")
    overrides = {"study": "mine", "extends": "gradual_learning"}
    overrides["dataset"] = {"reader": "table", "path": str(tmp_path / "d"), "manifest": str(tmp_path / "m")}
    overrides["dataset"]["carve"] = {"dev": 0.2, "test": 0.2}
    dataset = load_config(overrides, ROOT / "config.yaml", ROOT / "schemas/config.schema.json")["dataset"]
    assert len(build_dataset(dataset, {}, raw_source(dataset), {}, 0).facts) == 40
    with (tmp_path / "d/train.jsonl").open("a") as file:
        file.write(ROW)
    with pytest.raises(module.InputError, match="its sha256 is"):
        build_dataset(dataset, {}, raw_source(dataset), {}, 0)
