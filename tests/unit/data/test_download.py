"""Downloads from a local server: whole, resumed, retried, and refused."""

import errno
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gradual.data import download as module
from gradual.data.dataset import download_path, raw_source
from gradual.data.download import download, fetch
from gradual.ground.errors import InputError

CONTENT = bytes(range(256)) * 2048  # eight blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ROOT = Path(__file__).parents[3]


class Server:
    """Serves its content in eight blocks, with a pause (s) between them.

    `answers` are what it does first: a status, "cut" (half of what is left) or "whole" (no range).
    """

    def __init__(self):
        self.answers, self.ranges, self.content, self.pause = [], [], CONTENT, 0.0
        state = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                state.ranges.append(asked)
                answer = state.answers.pop(0) if state.answers else "range"
                if isinstance(answer, int):
                    self.send_response(answer)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start = int(re.search(r"\d+", asked).group()) if asked and answer != "whole" else 0
                body = state.content[start:]
                if start and not body:
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                body, block = body[: len(body) // 2] if answer == "cut" else body, max(1, len(state.content) // 8)
                for i in range(0, len(body), block):
                    self.wfile.write(body[i : i + block])
                    if state.pause:
                        time.sleep(state.pause)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/data.zip"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "raw" / "data.zip"


def part_of(target):
    part = target.parent / "part" / "data.zip"
    part.parent.mkdir(parents=True, exist_ok=True)
    return part


def names(target):
    """The files in the target's folder, without the lock."""
    return sorted(
        str(f.relative_to(target.parent)) for f in target.parent.rglob("*") if f.is_file() and f.name != ".lock"
    )


def test_whole(server, target):
    download(server.url, target, SHA256.upper())
    assert target.read_bytes() == CONTENT
    assert names(target) == ["data.zip"]
    assert server.ranges == [None]


def test_a_server_that_fails_twice_then_works(server, target):
    server.answers = [503, 500]
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 3


def test_pauses_double(server, target, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    server.answers = [503, 429, 502]
    download(server.url, target, SHA256)
    assert pauses == [0.001, 0.002, 0.004]


def test_a_broken_connection_is_resumed(server, target):
    server.answers = ["cut", "cut"]
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT
    starts = [int(asked[6:-1]) if asked else 0 for asked in server.ranges]
    assert starts == [0, len(CONTENT) // 2, len(CONTENT) * 3 // 4]


def test_a_part_of_an_earlier_call_is_resumed(server, target):
    part_of(target).write_bytes(CONTENT[:1000])
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_whole_part_is_not_fetched_again(server, target):
    part_of(target).write_bytes(CONTENT)
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert names(target) == ["data.zip"]


def test_a_server_that_does_not_resume_starts_anew(server, target):
    server.answers = ["whole"]
    part_of(target).write_bytes(b"x" * 1000)
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("start", [b"", b"x" * 1000, b"x" * (len(CONTENT) + 5)])
def test_wrong_digest(server, target, start):
    if start:
        part_of(target).write_bytes(start)
    wanted = SHA256 if start else "0" * 64
    with pytest.raises(InputError, match="sha256 is") as caught:
        download(server.url, target, wanted)
    assert (caught.value.file, caught.value.key) == (server.url, "dataset.sha256")
    assert wanted in str(caught.value)
    assert names(target) == []


def test_gives_up_and_keeps_the_part_for_the_next_call(server, target):
    server.answers = ["cut", 503, 503]
    with pytest.raises(InputError, match="not downloaded in 3 attempts") as caught:
        download(server.url, target, SHA256, attempts=3)
    assert caught.value.file == server.url
    assert names(target) == ["part/data.zip"]
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={len(CONTENT) // 2}-"


def test_no_server(server, target):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(InputError, match="not downloaded in 2 attempts"):
        download(server.url, target, SHA256, attempts=2)
    assert names(target) == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_tried_again(server, target, status):
    server.answers = [status]
    with pytest.raises(InputError, match=f"the server answered {status}") as caught:
        download(server.url, target, SHA256)
    assert caught.value.key == "dataset.url"
    assert len(server.ranges) == 1
    assert names(target) == []


def test_a_full_disk_leaves_nothing(server, target, monkeypatch):
    def fetch(url, part):
        part.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_fetch", fetch)
    with pytest.raises(InputError, match="the disk is full") as caught:
        download(server.url, target, SHA256)
    assert caught.value.file == str(target)
    assert names(target) == []


@pytest.mark.parametrize(
    ("url", "sha256", "key"),
    [
        ("file:///etc/hostname", SHA256, "dataset.url"),
        ("ftp://example.org/x.zip", SHA256, "dataset.url"),
        ("example.org/x.zip", SHA256, "dataset.url"),
        ("https:///x.zip", SHA256, "dataset.url"),
        ("https://user:secret@example.org/x.zip", SHA256, "dataset.url"),
        ("https://example.org/x.zip", SHA256[:-1], "dataset.sha256"),
        ("https://example.org/x.zip", "", "dataset.sha256"),
    ],
)
def test_what_cannot_be_downloaded_is_refused_before_any_attempt(target, url, sha256, key):
    with pytest.raises(InputError) as caught:
        download(url, target, sha256)
    assert caught.value.key == key
    assert "secret" not in str(caught.value)
    assert names(target) == []


def test_a_file_that_is_there_is_checked_and_not_fetched_again(server, target):
    download(server.url, target, SHA256)
    download(server.url, target, SHA256)
    assert len(server.ranges) == 1
    target.write_bytes(CONTENT[:-1])
    download(server.url, target, SHA256)
    assert (target.read_bytes(), len(server.ranges)) == (CONTENT, 2)


def test_without_any_digest_nothing_is_downloaded(server, target):
    with pytest.raises(InputError, match="neither sha256 nor manifest"):
        download(server.url, target, None)
    assert (server.ranges, names(target)) == ([], [])


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "it is empty"), (b"\n<!DOCTYPE html><title>gone", "it is a web page"), (CONTENT[:99], "it has 99 bytes")],
)
@pytest.mark.parametrize("by", ["sha256", "manifest"])
def test_an_answer_that_is_cut_empty_or_a_web_page_is_never_whole(server, target, content, says, by):
    server.content = content

    def archive(file):
        raise InputError(file, "no archive", "a zip archive")

    with pytest.raises(InputError, match=says) as caught:
        download(server.url, target, *((SHA256,) if by == "sha256" else (None, archive)))
    assert caught.value.file == server.url
    assert names(target) == []


def packed(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


FILES = {split + ".jsonl": f'{{"question": "{split}?", "answer": "a"}}\n' for split in ("train", "dev", "test")}
MANIFEST = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}


def dataset_of(url, **changes):
    keys = dict.fromkeys(("path", "url", "sha256", "manifest", "columns", "files"))
    return keys | {"reader": "table", "url": url} | changes


@pytest.mark.parametrize(
    ("listed", "served", "says"),
    [
        (MANIFEST, FILES, None),
        ({}, FILES, "does not name"),
        ({"train.jsonl": MANIFEST["train.jsonl"]}, FILES, "does not name"),
        (MANIFEST, FILES | {"dev.jsonl": "{}"}, r"dev\.jsonl: its sha256 is"),
        (MANIFEST, {"train.jsonl": FILES["train.jsonl"]}, r"has no dev\.jsonl"),
    ],
)
def test_a_download_is_moved_in_only_when_the_manifest_lists_all_that_is_read(
    server, tmp_path, monkeypatch, listed, served, says
):
    monkeypatch.chdir(tmp_path)
    server.content = packed(served)
    Path("m.sha256").write_text("".join(f"{digest}  {name}\n" for name, digest in listed.items()))
    dataset = dataset_of(server.url, manifest="m.sha256")
    if says is None:
        fetch(dataset)
        assert raw_source(dataset).read_bytes() == server.content
        return
    with pytest.raises(InputError, match=says):
        fetch(dataset)
    assert names(raw_source(dataset)) == []


def test_urls_that_end_in_the_same_name_have_their_own_places(tmp_path):
    addresses = [
        "https://a.org/train.csv",
        "https://b.org/train.csv",
        "https://b.org/train.csv?v=2",
        "https://b.org/t%20r.csv",
    ]
    places = [download_path(dataset_of(url)) for url in addresses]
    assert len(set(places)) == 4
    assert [place.name for place in places] == ["train.csv", "train.csv", "train.csv", "t_r.csv"]
    assert download_path(dataset_of("https://a.org/")).name == "download"


RUN = """
import json, logging, sys
from gradual.data.download import fetch
logging.basicConfig(level="INFO")
fetch(json.loads(sys.argv[1]))
"""


def processes(dataset, folder, count):
    command = [sys.executable, "-c", RUN, json.dumps(dataset)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    return [subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) for _ in range(count)]


def test_processes_that_start_at_once_download_once(server, tmp_path):
    server.pause = 0.1
    dataset = dataset_of(server.url, sha256=SHA256)
    started = processes(dataset, tmp_path, 3)
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert (tmp_path / download_path(dataset)).read_bytes() == CONTENT
    assert server.ranges == [None]
    assert sum("another process downloads" in text for text in said) == 2


def test_a_killed_process_lets_the_next_one_go_on(server, tmp_path):
    server.pause = 1.0
    dataset = dataset_of(server.url, sha256=SHA256)
    [first] = processes(dataset, tmp_path, 1)
    part = tmp_path / download_path(dataset).parent / "part" / "data.zip"
    while not (part.exists() and part.stat().st_size):
        assert first.poll() is None
        time.sleep(0.01)
    first.kill()
    first.communicate()
    server.pause = 0.0
    [second] = processes(dataset, tmp_path, 1)
    assert second.communicate(timeout=60)[1] is not None
    assert second.returncode == 0
    assert (tmp_path / download_path(dataset)).read_bytes() == CONTENT
    assert server.ranges[1].startswith("bytes=")
