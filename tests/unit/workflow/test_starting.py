"""What a script's log ends with: the cause of its error, and a remedy where none was foreseen; and the GPUs it holds."""

import errno
import json
import os
import socket
import zipfile
from email.message import Message
from urllib.error import HTTPError, URLError

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from huggingface_hub import errors

from gradual.ground.errors import EndedWithNotice, InputError
from gradual.workflow import gpus
from gradual.workflow.starting import explanation, on_gpus, remedy, report


def of_hub(name: str) -> Exception:
    """An error of huggingface_hub by name; most need the response of a server to be made."""
    kind = getattr(errors, name)
    return kind.__new__(kind)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REMEDIES = {
    "memory": (MemoryError(), "lower training.micro_batch"),
    "memory of a GPU": (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "lower training.micro_batch"),
    "full disk": (OSError(errno.ENOSPC, "No space left on device"), "free disk space"),
    "full disk of safetensors": (RuntimeError("I/O error: No space left on device (os error 28)"), "free disk space"),
    "full disk of torch": (
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos"),
        "free disk space",
    ),
    "full quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), "free disk space"),
    "permissions": (PermissionError(errno.EACCES, "Permission denied"), "make the file readable"),
    "read-only disk": (OSError(errno.EROFS, "Read-only file system"), "this one is read-only"),
    "long name": (OSError(errno.ENAMETOOLONG, "File name too long"), "shorten the path"),
    "too many files": (OSError(errno.EMFILE, "Too many open files"), "raise the limits"),
    "too many processes": (RuntimeError("can't start new thread"), "raise the limits"),
    "folder in the way": (IsADirectoryError(errno.EISDIR, "Is a directory"), "move what is in the way"),
    "file in the way": (NotADirectoryError(errno.ENOTDIR, "Not a directory"), "move what is in the way"),
    "closed pipe": (BrokenPipeError(errno.EPIPE, "Broken pipe"), "the program that read its output ended first"),
    "no network": (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "check the network"),
    "no address": (URLError(socket.gaierror(-2, "Name or service not known")), "check the network"),
    "slow network": (TimeoutError("timed out"), "check the network"),
    "status": (HTTPError("https://example.org", 503, "Service Unavailable", Message(), None), "check the network"),
    "gated model": (of_hub("GatedRepoError"), "accept the model's licence"),
    "unknown model": (of_hub("RepositoryNotFoundError"), "accept the model's licence"),
    "model not in the cache": (of_hub("LocalEntryNotFoundError"), "fetch the model where the hub can be reached"),
    "no hub": (of_hub("OfflineModeIsEnabled"), "fetch the model where the hub can be reached"),
    "JSON": (json.JSONDecodeError("Expecting value", "{", 1), "replace the file"),
    "YAML": (yaml.YAMLError("while parsing"), "replace the file"),
    "not UTF-8": (UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid continuation byte"), "replace the file"),
    "Parquet": (pa.ArrowInvalid("Could not open Parquet input source"), "replace the file"),
    "CSV": (pd.errors.EmptyDataError("No columns to parse from file"), "replace the file"),
    "archive": (zipfile.BadZipFile("File is not a zip file"), "replace the file"),
    "cut file": (EOFError("Compressed file ended"), "replace the file"),
    "GPU": (RuntimeError("CUDA error: no kernel image is available"), "check the GPU and its driver"),
    "shared library": (
        OSError("libcudart.so.12: cannot open shared object file"),
        "set up the job's environment again",
    ),
    "caused": (caused(OSError("cannot load"), TimeoutError("timed out")), "check the network"),
    "missing file": (FileNotFoundError(errno.ENOENT, "No such file", "a.parquet"), "restore the file"),
    "missing package": (ModuleNotFoundError("No module named 'peft'"), "set up the job's environment again"),
    "failing disk": (OSError(errno.EIO, "Input/output error"), "check the disk"),
    "memory of the system": (OSError(errno.ENOMEM, "Cannot allocate memory"), "lower training.micro_batch"),
    "other error of the system": (OSError(errno.EDOM, "Math argument"), "not foreseen, so likely a defect"),
    "defect in the treatment of an error": (caused(KeyError("x"), KeyError("y")), "not foreseen, so likely a defect"),
    "defect": (KeyError("x"), "not foreseen, so likely a defect"),
}


@pytest.mark.parametrize(("error", "words"), REMEDIES.values(), ids=REMEDIES)
def test_each_kind_of_error_has_its_own_remedy(error, words):
    assert {other for _, other in REMEDIES.values() if other in remedy(error)} == {words}


@pytest.mark.parametrize(("error", "words"), REMEDIES.values(), ids=REMEDIES)
def test_a_report_ends_with_cause_and_remedy(error, words, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        report(main)
    cause, advice = caught.value.code.splitlines()
    assert cause == f"error: {type(error).__name__}: {error}"
    assert advice == f"remedy: {remedy(error)}" and words in advice
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_a_cause_of_several_lines_is_reported_in_one(capsys):
    def main():
        raise RuntimeError("size mismatch:\n\tcopying a param\n")

    with pytest.raises(SystemExit) as caught:
        report(main)
    assert caught.value.code.splitlines()[0] == "error: RuntimeError: size mismatch: copying a param"


def test_report_prints_one_line_and_exits_with_1(capsys):
    def main():
        raise InputError("a.json", "bad", "good")

    with pytest.raises(SystemExit) as caught:
        report(main)
    assert caught.value.code == "error: a.json: bad; expected good"  # Python prints it to stderr and exits with 1


def test_report_shows_where_another_error_came_from_and_ends_with_its_cause_and_remedy(capsys):
    with pytest.raises(SystemExit) as caught:
        report(lambda: {}["defect"])
    cause, advice = caught.value.code.splitlines()  # Python prints it to stderr and exits with 1
    assert cause == "error: KeyError: 'defect'"
    assert advice.startswith("remedy: not foreseen")
    trace = capsys.readouterr().err
    assert trace.startswith("Traceback") and 'report(lambda: {}["defect"])' in trace


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_report_lets_an_interrupt_and_an_exit_through(error):
    def main():
        raise error

    with pytest.raises(error) as caught:
        report(main)
    assert not caught.value.args


def test_an_end_with_notice_is_explained_in_one_line_without_traceback(capsys):
    assert explanation(EndedWithNotice("ended with notice (SIGTERM)")) == "error: ended with notice (SIGTERM)"
    assert capsys.readouterr().err == ""


@pytest.fixture
def asking(monkeypatch, tmp_path):
    """A machine of two GPUs, and a script of it that is started with these options."""
    monkeypatch.setenv(gpus.VISIBLE, "0,1")
    monkeypatch.setattr(gpus, "_shared_folder", lambda: tmp_path)
    return lambda *options: monkeypatch.setattr("sys.argv", ["script.py", "--base", "base.json", *options])


@pytest.mark.parametrize(
    ("options", "held"), [(("--gpus", "1"), "0"), (("--gpus=2", "--x", "y"), "0,1"), (("--gpu", "1"), ""), ((), "")]
)
def test_a_script_holds_as_many_gpus_as_its_option_says_while_it_works(options, held, asking):
    asking(*options)
    seen = []
    on_gpus(lambda: seen.append(os.environ[gpus.VISIBLE]))
    assert seen == [held]
    assert os.environ[gpus.VISIBLE] == "0,1"


def test_more_gpus_than_there_are_and_errors_meanwhile_are_reported(asking, capsys):
    asking("--gpus", "3")
    with pytest.raises(SystemExit) as caught:
        on_gpus(lambda: None)
    assert caught.value.code.startswith("error: the job, key 'gpu': asks for 3 GPUs; expected at most the 2 here")
    asking("--gpus", "1")
    with pytest.raises(SystemExit) as caught:
        on_gpus(lambda: {}["defect"])
    assert caught.value.code.splitlines()[0] == "error: KeyError: 'defect'"
