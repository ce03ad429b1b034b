"""Raw files: a change of what is read is noticed, and studies share downloads."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from project_copy import copy_project, snakemake_in

CORPUS = "results/elements/seed0/corpus.parquet"
STUDY = ("--cores", "1", "--configfile", "studies/elements.yaml")


def planned(folder: Path, *words: str) -> set[str]:
    """The rules of a dry run, or of a run with other words."""
    done = snakemake_in(folder)(CORPUS, *STUDY, *(words or ("-n",)))
    assert done.returncode == 0, done.stdout[-3000:]
    return set(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module", params=["folder", "linked"])
def project(request, tmp_path_factory):
    """A project in which the corpus of the elements is made; its raw files may be in a linked subfolder."""
    folder = copy_project(tmp_path_factory.mktemp("raw") / "project")
    study = folder / "studies/elements.yaml"
    study.write_text(study.read_text().replace("words: 1500000", "words: 20000"))
    raw = folder / "studies/elements"
    if request.param == "linked":
        raw = folder.parent / "far"
        shutil.move(folder / "studies/elements", raw)
        (folder / "studies/elements").mkdir()
        (folder / "studies/elements/linked").symlink_to(raw)
    planned(folder, "--quiet", "rules")
    assert planned(folder) == set()
    return folder, raw / "train.jsonl"


def replace(file: Path, text: str) -> None:
    """Replace a file by one with an older date, as `cp -a` does."""
    file.unlink()
    file.write_text(text)
    os.utime(file, (1e9, 1e9))


def test_a_file_that_is_replaced_by_an_older_one_is_noticed(project):
    folder, file = project
    text = file.read_text()
    os.utime(file, (2e9, 2e9))
    assert planned(folder) == set()
    replace(file, text)
    assert planned(folder) == set()
    replace(file, text.replace("Hydrogen", "Hydrogan"))
    assert "build_facts" in planned(folder)
    replace(file, "".join(sorted(text.splitlines(keepends=True))))
    (file.parent / "test.txt").write_text("not read")
    assert "build_facts" in planned(folder)
    assert planned(folder, "--until", "build_facts") == {"build_facts"}
    assert planned(folder) == set()  # the facts are the same, so the corpus is not made again


@pytest.mark.parametrize("key", ["path", "manifest"])
def test_facts_are_not_kept_for_a_source_that_is_not_there(key, project, tmp_path):
    folder, _ = project
    config = yaml.safe_load((folder / "studies/elements.yaml").read_text())
    config["dataset"][key] = "studies/elemetns"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    done = snakemake_in(folder)(CORPUS, "-n", "--cores", "1", "--configfile", str(tmp_path / "study.yaml"))
    assert done.returncode != 0
    assert f"dataset.{key}: there is no file or folder 'studies/elemetns'" in done.stdout


def test_two_studies_with_one_url_that_start_at_once(tmp_path):
    folder = copy_project(tmp_path / "project")
    served = tmp_path / "served"
    shutil.make_archive(str(served / "raw"), "zip", folder / "studies/elements")
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            asked.append(words)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=served))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    (folder / "data").mkdir()
    (folder / "data/mine.txt").write_text("the user's own")
    url = f"http://127.0.0.1:{server.server_port}/raw.zip"
    digest = hashlib.sha256((served / "raw.zip").read_bytes()).hexdigest()
    started = []
    for name, sha256 in (("one", digest), ("two", digest), ("wrong", "0" * 64)):
        carve = "carve: {test: 0.25, dev: 0.1, support: 0.15}"
        dataset = f"dataset: {{reader: jsonl, url: '{url}', sha256: '{sha256}', {carve}}}"
        (folder / f"studies/{name}.yaml").write_text(f"study: {name}\nextends: gradual_learning\n{dataset}\n")
        facts = f"results/{name}/seed0/facts.parquet"
        command = [sys.executable, "-m", "snakemake", facts, "--cores", "1", "--configfile", f"studies/{name}.yaml"]
        env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        if name == "wrong":
            assert [process.wait(timeout=300) for process in started] == [0, 0], started[0].stdout.read()
            assert len(asked) == 1
        started.append(subprocess.Popen(command, cwd=folder, env=env, **pipes))
    said = started[-1].communicate(timeout=300)[0]
    server.shutdown()
    server.server_close()
    assert started[-1].returncode == 1 and "its sha256 is" in said
    assert (folder / "data/mine.txt").exists()
    left = {
        str(f.relative_to(folder / "data")) for f in (folder / "data").rglob("*") if f.is_file() and f.name != ".lock"
    }
    assert len(left) == 2 and any(name.endswith("/raw.zip") for name in left)
