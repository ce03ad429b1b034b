"""Sections of the config as frozen dataclasses, and as JSON on a command line."""

import argparse
import json
from dataclasses import FrozenInstanceError, asdict, dataclass

import pytest

from gradual.ground.errors import InputError
from gradual.ground.settings import parser, pick


@dataclass(frozen=True)
class Sizes:
    width: int
    names: tuple[str, ...]


SECTION = {"width": 3, "names": ["a", "b"], "unrelated": {"x": 1}}


def test_the_keys_of_the_dataclass_are_taken_from_a_section_and_lists_become_tuples():
    found = pick(Sizes, SECTION)
    assert found == Sizes(3, ("a", "b"))
    assert hash(found) == hash(Sizes(3, ("a", "b")))  # nothing in it can be changed
    with pytest.raises(FrozenInstanceError):
        found.width = 4


@pytest.mark.parametrize("missing", ["width", "names"])
def test_a_missing_key_is_named_with_all_that_are_needed(missing):
    section = {key: value for key, value in SECTION.items() if key != missing}
    with pytest.raises(InputError, match="is missing; expected the keys width, names") as caught:
        pick(Sizes, section)
    assert (caught.value.file, caught.value.key) == ("Sizes", missing)


def test_what_is_written_as_json_is_read_on_a_command_line_as_it_was():
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", type=parser(Sizes))
    settings = pick(Sizes, SECTION)
    assert options.parse_args(["--sizes", json.dumps(asdict(settings))]).sizes == settings


@pytest.mark.parametrize("text", ["{", '{"width": 3}'], ids=["no JSON", "a missing key"])
def test_a_command_line_that_does_not_give_them_is_refused_with_their_name(text, capsys):
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", type=parser(Sizes))
    with pytest.raises(SystemExit):
        options.parse_args(["--sizes", text])
    assert "argument --sizes: invalid Sizes value" in capsys.readouterr().err
