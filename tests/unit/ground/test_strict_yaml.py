"""YAML that could be read otherwise than it was meant is refused, quickly, and no error shows a value of the file."""

import time
from pathlib import Path

import pytest

from gradual.ground.errors import InputError
from gradual.ground.strict_yaml import DEEPEST, LONGEST, read_mapping

ROOT = Path(__file__).resolve().parents[3]
FILES = [
    ROOT / "config.yaml",
    *ROOT.glob("studies/*.yaml"),
    *ROOT.glob("profiles/*/*.yaml"),
    *ROOT.glob("tests/*/*.yaml"),
]


def multiplied(first: str, next_: str, levels: int) -> str:
    """Anchors of which each stands for several of the one before."""
    lines = [f"a0: &a0 {first}", *(f"a{i}: &a{i} {next_.replace('*', f'*a{i - 1}')}" for i in range(1, levels))]
    return "\n".join(lines)


REFUSED = {
    "a key twice": ("a: 1\nb: 2\na: 3", "row 1, key 'a'.*twice"),
    "a key twice, once quoted": ("a: {b: 1, 'b': 2}", "key 'b'.*twice"),
    "a key twice below a list": ("a: [{b: {c: 1, c: 1}}]", "key 'c'.*twice"),
    "a merge twice": ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", "key '<<'.*twice"),
    "lists that multiply": (multiplied("[x]", "[*, *, *, *, *, *, *, *, *]", 30), "too many values"),
    "mappings that multiply": (multiplied("{x: 1}", "{a: *, b: *, c: *, d: *}", 18), "too many values"),
    "merges that multiply": (multiplied("{x: 1}", "{<<: [*, *, *, *, *, *]}", 18), "too many values"),
    "a list in itself": ("a: &a [*a]", "holds itself"),
    "a mapping in itself": ("a: &a {b: [1, {c: *a}]}", "holds itself"),
    "a mapping that merges itself": ("a: &a {<<: *a}", "holds itself"),
    "deep": ("a: " + "[" * DEEPEST + "]" * DEEPEST, "too deep"),
    "deeper than Python's stack": ("a: " + "[" * 2000 + "]" * 2000, f"at most {DEEPEST} levels"),
    "long": ("a: " + "b" * LONGEST, "more than 256 KiB"),
    "a Python object": ("a: !!python/object/apply:os.getcwd []", "python/object"),
    "a Python name": ("a: !!python/name:os.getcwd ''", "python/name"),
    "a set": ("a: !!set {b, c}", "tag set"),
    "a tag of its own": ("a: !mine b", "!mine"),
    "binary": ("a: !!binary aGk=", "binary"),
    "a date": ("a: 2026-01-02", "as timestamp"),
    "yes": ("a: yes", "as bool; expected true or false"),
    "off": ("a: [off]", "as bool"),
    "a key that is on": ("on: 1", "as bool"),
    "an octal number": ("a: 010", "as int"),
    "a hexadecimal number": ("a: 0x1F", "as int"),
    "a time of day": ("a: 12:30:45", "as int"),
    "a time with a fraction": ("a: 1:30.5", "as float"),
    "a number with thousands of digits": ("a: " + "9" * 5000, "as int"),
    "not a number": ("a: .nan", "as float"),
    "infinity": ("a: -.inf", "as float"),
    "too large a number": ("a: 1.0e+400", "as float"),
    "a key that is a list": ("? [b]\n: c", "a list or a mapping"),
    "an alias of nothing": ("a: *b", "undefined alias"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "a list": ("- a", "does not hold a mapping"),
    "nothing": ("", "does not hold a mapping"),
    "a tab": ("a:\n\tb: 1", "row 2.*cannot start any token"),
    "a control character": ("a: b\x07", "ReaderError"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_as_it_looks_is_refused_quickly(text, words, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    start = time.monotonic()
    with pytest.raises(InputError, match=f"(?s)study.yaml.*{words}"):
        read_mapping(file, "a config")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("rest", ["b: [1", "b: c: d", "b: 1\nb: 2", "b: \x07", "b: !x c"])
def test_no_error_shows_a_value(rest, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(f"a: https://me:hunter2@example.org\n{rest}")
    with pytest.raises(InputError) as caught:
        read_mapping(file, "a config")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("place", ["absent.yaml", ".", "/dev/null", "latin.yaml"])
def test_what_is_no_text_file_is_an_input_error(place, tmp_path):
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InputError, match="a config"):
        read_mapping(tmp_path / place, "a config")


def test_ordinary_anchors_merges_and_numbers_stay(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "\ufeffa: &a {x: 1, y: [*b1, null]}\n".replace("*b1", "&b1 2")
        + "b: {<<: *a, x: 3, z: *b1}\nc: {<<: [*a, {w: 1}]}\n"
        + "d: [1.5, -3, 1.0e-5, .5, 1_000, true, False, ~, '010', 'on', 1e5]\n",
        encoding="utf-8",
    )
    assert read_mapping(file, "a config") == {
        "a": {"x": 1, "y": [2, None]},
        "b": {"x": 3, "y": [2, None], "z": 2},
        "c": {"x": 1, "y": [2, None], "w": 1},
        "d": [1.5, -3, 1e-5, 0.5, 1000, True, False, None, "010", "on", "1e5"],
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_files_of_the_project_are_strict(file):
    assert read_mapping(file, "YAML")
