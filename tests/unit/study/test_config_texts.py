"""Texts of a config: secrets are refused and not printed, and no pattern takes a line break at a text's end."""

import pytest
import yaml

from configs import ARCHIVE, EXTENDED, HUB, ROOT, RULES, SAME, load
from gradual.ground.errors import InputError
from gradual.study import config


def patterns(schema):
    """Every schema with a pattern, in a schema."""
    below = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return ([schema] if isinstance(schema, dict) and "pattern" in schema else []) + [
        p for s in below for p in patterns(s)
    ]


@pytest.mark.parametrize("schema", patterns(RULES), ids=lambda schema: schema["pattern"])
def test_no_pattern_matches_a_text_with_a_line_break_at_its_end(schema):
    texts = [
        "name",
        "latest",
        "gold",
        "a label",
        "https://example.org/a.zip",
        "owner/name",
        "a/b.gguf",
        "0" * 40,
        "0" * 64,
    ]
    matched = [text for text in texts if config._Validator(schema).is_valid(text)]
    assert matched and not [text for text in matched if config._Validator(schema).is_valid(f"{text}\n")]


SECRETS = {
    "user and password": "https://me:hunter2@example.org/a.zip",
    "user": "https://hunter2@example.org/a.zip",
    "other protocol": "ftp://me:hunter2@example.org/a.zip",
    "within a text": "see http://me:hunter2@example.org",
    "token": "https://example.org/a.zip?download=1&token=hunter2",
    "access token": "https://example.org/a.zip?access_token=hunter2",
    "signed address": "https://example.org/a.zip?X-Amz-Expires=9&X-Amz-Signature=hunter2",
    "shared signature": "https://example.org/a.zip?sv=1&sig=hunter2",
    "key": "https://example.org/a.zip?key=hunter2",
    "password": "https://example.org/a.zip?password=hunter2",
    "fragment": "https://example.org/a.zip#auth=hunter2",
    "hub": "hf_hunter2abcdefghijklmnopqrstu",
    "GitHub": "ghp_hunter2abcdefghijklmnopqrstu",
    "header": "Bearer hunter2abcdefghijkl",
}
PLACES = {
    "url": lambda text: {"dataset": ARCHIVE | {"url": text}},
    "manifest": lambda text: {"dataset": ARCHIVE | {"manifest": text}},
    "wrong place": lambda text: {"dataset": [text]},
    "unknown key": lambda text: {"tokens": {"hub": text}},
    "key": lambda text: {"runs": {text: SAME}},
    "label": lambda text: {"models": {"m": HUB | {"label": text}}},
    "name": lambda text: {"study": text} | EXTENDED,
    "extended": lambda text: {"extends": text},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_refused_and_not_printed(secret, place):
    with pytest.raises(InputError, match="a password or a token.*HF_TOKEN") as caught:
        load(PLACES[place](SECRETS[secret]))
    assert "hunter2" not in str(caught.value)


def test_ordinary_texts_are_no_secrets():
    plain = [
        "https://example.org/a@1.0/b.zip?download=1&author=x&monkey=2",
        "Qwen/Qwen2-7B",
        "tokens=12",
        "hf_small",
        "me@example.org",
        "0" * 64,
    ]
    assert config.secret_at({"a": plain, "b": {"c": 1, "d": None}}) is None
    studies = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "studies").glob("*.yaml")]
    assert config.secret_at(studies) is None
