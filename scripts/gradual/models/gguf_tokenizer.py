"""The tokenizer of a GGUF file as the files of one of transformers.

transformers has a conversion of its own, but it does not look at the file's pre-tokenizer. So it gives SmolLM2 the one of
GPT-2, which keeps digits together. A tokenizer that merges bytes (BPE) is converted here. For others, tokenizer.json must
lie beside the GGUF file.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import read_json
from gradual.models.gguf_file import GgufFile

TOKENIZER, SETTINGS, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
BESIDE = (TOKENIZER, SETTINGS, TEMPLATE, "special_tokens_map.json", "added_tokens.json")
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5  # types of tokens in GGUF
ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def _bytes(own_words: bool) -> dict[str, Any]:
    """The step that writes bytes as characters; with `own_words`, it first splits into the words of GPT-2."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": own_words}


def _words(digits: str) -> list[dict[str, Any]]:
    """The steps of Llama 3 and Qwen2, which differ in how many digits a word may have."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits
    pattern += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return [split, _bytes(False)]


@dataclass(frozen=True)
class Splitter:
    """How a text is split into words before merging, and what else goes with a name of tokenizer.ggml.pre."""

    steps: list[dict[str, Any]]
    composed: bool = False  # whether characters are composed first (NFC)
    whole_words: bool = False  # whether a word that is a token is not merged
    begins: bool = False  # whether texts begin with the bos token, where the file does not say it


SPLITTERS = {
    "gpt-2": Splitter([_bytes(True)]),
    "smollm": Splitter([{"type": "Digits", "individual_digits": True}, _bytes(True)]),
    "qwen2": Splitter(_words(r"\p{N}"), composed=True),
    "llama-bpe": Splitter(_words(r"\p{N}{1,3}"), whole_words=True, begins=True),
}


def tokenizer_files(file: Path) -> list[Path]:
    """The files of a tokenizer beside a GGUF file, which are taken rather than the GGUF file's own. Empty without any."""
    found = [file.with_name(name) for name in BESIDE if file.with_name(name).is_file()]
    return found if file.with_name(TOKENIZER) in found else []


def write_tokenizer(gguf: GgufFile, beside: list[Path], folder: Path) -> None:
    """Write the tokenizer into the folder: the files beside the GGUF file, and from the GGUF file what they do not say.

    Raises InputError where the files beside it are of another tokenizer, or the GGUF file's own cannot be converted.
    """
    tokens: list[str] = gguf.need("tokenizer.ggml.tokens", list)
    types: list[int] = gguf.need("tokenizer.ggml.token_type", list)
    if len(types) != len(tokens) or len({*tokens}) != len(tokens):
        problem = f"has {len({*tokens})} tokens and {len(types)} types of tokens"
        raise InputError(gguf.path, problem, "different tokens, each with a type", key="tokenizer.ggml.tokens")
    for file in beside:
        shutil.copyfile(file, folder / file.name)
    names = {file.name for file in beside}
    if TOKENIZER in names:
        _check_vocabulary(folder / TOKENIZER, gguf, tokens, types)
    else:
        _write(_tokenizer(gguf, tokens, types), folder / TOKENIZER)
    if SETTINGS in names:
        return
    _write(_settings(gguf, tokens), folder / SETTINGS)
    if TEMPLATE not in names and (template := gguf.get("tokenizer.chat_template", str)):
        (folder / TEMPLATE).write_text(template, encoding="utf-8", newline="")


def _write(value: Mapping[str, Any], file: Path) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_vocabulary(file: Path, gguf: GgufFile, tokens: list[str], types: list[int]) -> None:
    """Raise InputError unless the plain tokens of the GGUF file have the same ids in tokenizer.json."""
    found = read_json(file, "a tokenizer")
    model = found.get("model") if isinstance(found, Mapping) else None
    listed = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(listed, list):  # of a unigram model: tokens with their scores, in order
        listed = {each[0]: number for number, each in enumerate(listed)}
    if not isinstance(listed, Mapping):
        raise InputError(file, "has no vocabulary", "a tokenizer as `save_pretrained` writes it", key="model.vocab")
    for number, (token, kind) in enumerate(zip(tokens, types, strict=True)):
        if kind == NORMAL and listed.get(token) != number:
            problem = f"the token {token!r} has the id {listed.get(token)}, and in {gguf.path.name} it has {number}"
            raise InputError(file, problem, "the tokenizer of the same model", key="model.vocab")


def _special(gguf: GgufFile, tokens: list[str], role: str) -> str | None:
    """The text of a special token, or None where the file names none. Raises InputError for an id of no token."""
    number = gguf.get(f"tokenizer.ggml.{role}_token_id", int)
    if number is not None and not 0 <= number < len(tokens):
        raise InputError(
            gguf.path, f"is {number}", f"one of {len(tokens)} tokens", key=f"tokenizer.ggml.{role}_token_id"
        )
    return None if number is None else tokens[number]


def _settings(gguf: GgufFile, tokens: list[str]) -> dict[str, Any]:
    """The content of tokenizer_config.json."""
    special = {name: _special(gguf, tokens, role) for name, role in ROLES.items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **{name: token for name, token in special.items() if token is not None},
    }


def _tokenizer(gguf: GgufFile, tokens: list[str], types: list[int]) -> dict[str, Any]:
    """The content of tokenizer.json for a tokenizer that merges bytes."""
    remedy = f"{TOKENIZER} of the same model beside the file (source: folder or hub)"
    if (kind := gguf.need("tokenizer.ggml.model", str)) != "gpt2":
        raise InputError(gguf.path, f"has a tokenizer of the kind {kind!r}", remedy, key="tokenizer.ggml.model")
    name = gguf.get("tokenizer.ggml.pre", str)
    if name not in SPLITTERS:
        problem, expected = f"has the pre-tokenizer {name!r}", f"{' or '.join(SPLITTERS)}, or {remedy}"
        raise InputError(gguf.path, problem, expected, key="tokenizer.ggml.pre")
    for key in ("add_eos_token", "add_space_prefix"):
        if gguf.get(f"tokenizer.ggml.{key}", bool, False):
            raise InputError(gguf.path, "is true", f"false, or {remedy}", key=f"tokenizer.ggml.{key}")
    splitter = SPLITTERS[name]
    merges = [merge.split(" ") for merge in gguf.need("tokenizer.ggml.merges", list)]
    vocabulary = {token: i for i, token in enumerate(tokens) if types[i] != UNUSED}  # unused ones only fill the rows
    for merge in merges:
        if len(merge) != 2 or not {*merge, "".join(merge)} <= vocabulary.keys():
            raise InputError(gguf.path, f"{' '.join(merge)!r}", "two tokens that make one", key="tokenizer.ggml.merges")
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": i, "content": token, **plain, "special": types[i] != USER_DEFINED}
        for i, token in enumerate(tokens)
        if types[i] in (UNKNOWN, CONTROL, USER_DEFINED)
    ]
    begin = _special(gguf, tokens, "bos") if gguf.get("tokenizer.ggml.add_bos_token", bool, splitter.begins) else None
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if splitter.composed else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splitter.steps},
        "post_processor": _beginning(begin, vocabulary) if begin is not None else None,
        "decoder": _bytes(True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": splitter.whole_words,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def _beginning(token: str, vocabulary: Mapping[str, int]) -> dict[str, Any]:
    """The step that puts a token before each text."""
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in (("A", 0), ("B", 1)))
    marks = [{"SpecialToken": {"id": token, "type_id": kind}} for kind in (0, 1)]
    return {
        "type": "TemplateProcessing",
        "single": [marks[0], first],
        "pair": [marks[0], first, marks[1], second],
        "special_tokens": {token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]}},
    }
