"""Downloads from a local server: whole, resumed, retried, and refused."""

import errno
import hashlib
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gradual.data import download as module
from gradual.data.download import download
from gradual.ground.errors import InputError

CONTENT = bytes(range(256)) * 2048  # eight blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SCRIPT = Path(__file__).parents[3] / "scripts" / "download_dataset.py"


class Server:
    """Serves CONTENT; `answers` are what it does first: a status, "cut" (half of what is left) or "whole" (no range)."""

    def __init__(self):
        self.answers, self.ranges = [], []
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
                body = CONTENT[start:]
                if start and not body:
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if answer == "cut" else body)

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
    return target.with_name("data.zip.part")


def names(target):
    return sorted(file.name for file in target.parent.iterdir()) if target.parent.exists() else []


def test_whole(server, target):
    download(server.url, SHA256.upper(), target)
    assert target.read_bytes() == CONTENT
    assert names(target) == ["data.zip"]
    assert server.ranges == [None]


def test_a_server_that_fails_twice_then_works(server, target):
    server.answers = [503, 500]
    download(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 3


def test_pauses_double(server, target, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    server.answers = [503, 429, 502]
    download(server.url, SHA256, target)
    assert pauses == [0.001, 0.002, 0.004]


def test_a_broken_connection_is_resumed(server, target):
    server.answers = ["cut", "cut"]
    download(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT
    starts = [int(asked[6:-1]) if asked else 0 for asked in server.ranges]
    assert starts == [0, len(CONTENT) // 2, len(CONTENT) * 3 // 4]


def test_a_part_of_an_earlier_call_is_resumed(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    download(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_whole_part_is_not_fetched_again(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    download(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT
    assert names(target) == ["data.zip"]


def test_a_server_that_does_not_resume_starts_anew(server, target):
    server.answers = ["whole"]
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    download(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("start", [b"", b"x" * 1000, b"x" * (len(CONTENT) + 5)])
def test_wrong_digest(server, target, start):
    target.parent.mkdir()
    if start:
        part_of(target).write_bytes(start)
    wanted = SHA256 if start else "0" * 64
    with pytest.raises(InputError, match="sha256 is") as caught:
        download(server.url, wanted, target)
    assert (caught.value.file, caught.value.key) == (server.url, "dataset.sha256")
    assert wanted in str(caught.value)
    assert names(target) == []


def test_gives_up_and_keeps_the_part_for_the_next_call(server, target):
    server.answers = ["cut", 503, 503]
    with pytest.raises(InputError, match="not downloaded in 3 attempts") as caught:
        download(server.url, SHA256, target, attempts=3)
    assert caught.value.file == server.url
    assert names(target) == ["data.zip.part"]
    download(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={len(CONTENT) // 2}-"


def test_no_server(server, target):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(InputError, match="not downloaded in 2 attempts"):
        download(server.url, SHA256, target, attempts=2)
    assert names(target) == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_tried_again(server, target, status):
    server.answers = [status]
    with pytest.raises(InputError, match=f"the server answered {status}") as caught:
        download(server.url, SHA256, target)
    assert caught.value.key == "dataset.url"
    assert len(server.ranges) == 1
    assert names(target) == []


def test_a_full_disk_leaves_nothing(server, target, monkeypatch):
    def fetch(url, part):
        part.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_fetch", fetch)
    with pytest.raises(InputError, match="the disk is full") as caught:
        download(server.url, SHA256, target)
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
        download(url, sha256, target)
    assert caught.value.key == key
    assert "secret" not in str(caught.value)
    assert names(target) == []


def test_script(server, target):
    command = [sys.executable, SCRIPT, "--url", server.url, "--output", target, "--sha256"]
    bad = subprocess.run([*command, "0" * 64], capture_output=True, text=True)
    assert bad.returncode == 1
    assert bad.stderr.startswith(f"error: {server.url}, key 'dataset.sha256': its sha256 is {SHA256}")
    assert "Traceback" not in bad.stderr
    good = subprocess.run([*command, SHA256], capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    assert target.read_bytes() == CONTENT
