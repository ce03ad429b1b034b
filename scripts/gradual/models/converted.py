"""Models that are converted from GGUF files, once for all seeds and studies: data/models/<digest>/model.

The digest is that of all that the model follows from. Beside the files of the model lies a card, which says what was
converted, and how the weights are quantised.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import digest, read_json, write_json
from gradual.ground.seeding import digest_of
from gradual.ground.waiting import alone
from gradual.models.gguf_file import FLOATS, GgufFile, read_gguf
from gradual.models.gguf_tokenizer import write_tokenizer
from gradual.models.gguf_weights import Tensor, model_config, model_tensors, write_weights

FOLDER = "data/models"
VERSION = 1  # of the conversion; a new one makes all models anew
CARD = "card.json"


def place_of(sha256: str, dtype: str, beside: Sequence[Path] = ()) -> Path:
    """Where the model is kept that is converted from the GGUF file with this digest, relative to the project's folder.

    `beside` are the files of its tokenizer that lie beside the GGUF file.
    """
    tokenizer = [text for file in beside for text in (file.name, digest(file))]
    return Path(FOLDER, digest_of(sha256, dtype, VERSION, *tokenizer), "model")


def keep(place: Path, make: Callable[[Path], None]) -> None:
    """Make a model in its place, unless it is there, with all files as they were made. Each process waits for the others.

    `make` is given an empty folder in `part/` beside the place, and may put other files into `part/` as it works. The
    folder is moved to its place when it is whole. What a killed process has left in `part/` is removed by the next one.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with alone(place.parent / ".lock", f"makes {place}"):
        if is_whole(place):
            return
        part = place.with_name("part")
        for old in (part, place):
            shutil.rmtree(old, ignore_errors=True)
        made = part / place.name
        made.mkdir(parents=True)
        try:
            make(made)
            made.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def is_there(place: Path) -> bool:
    """Whether a converted model is in its place, with the files of its card and no others. It reads only the card."""
    named = read_card(place).get("files")
    return isinstance(named, dict) and {file.name for file in place.iterdir() if file.is_file()} == {*named, CARD}


def is_whole(place: Path) -> bool:
    """Whether a converted model is in its place, and its files are as they were made."""
    return is_there(place) and all(digest(place / name) == made for name, made in read_card(place)["files"].items())


def read_card(place: Path) -> dict[str, Any]:
    """What the card of a converted model says; empty where the card is missing or broken."""
    try:
        found = read_json(place / CARD, "the card of a converted model")
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def read_model(file: Path, dtype: str) -> tuple[GgufFile, dict[str, Any], dict[str, Tensor]]:
    """A GGUF file, the config of its model, and its tensors, without their data.

    Raises InputError for a file whose model cannot be converted.
    """
    gguf = read_gguf(file)
    config = model_config(gguf, dtype)
    return gguf, config, model_tensors(gguf, config)


def check_gguf(file: Path, beside: list[Path], dtype: str) -> None:
    """Raise InputError where `convert` would, but for the values of weights. It writes nothing that stays."""
    gguf, _, _ = read_model(file, dtype)
    with TemporaryDirectory() as folder:
        write_tokenizer(gguf, beside, Path(folder))


def convert(file: Path, sha256: str, beside: list[Path], dtype: str, folder: Path) -> None:
    """Write the model of a GGUF file into an empty folder: weights in `dtype`, config, tokenizer, and the card.

    Raises InputError for a file that cannot be converted.
    """
    gguf, config, tensors = read_model(file, dtype)
    write_tokenizer(gguf, beside, folder)
    write_json(config, folder / "config.json")
    write_weights(gguf, tensors, dtype, folder / "model.safetensors")
    files = {each.name: digest(each) for each in sorted(folder.iterdir())}
    write_json(_card(gguf, sha256, beside, dtype) | {"files": files}, folder / CARD)


def _card(gguf: GgufFile, sha256: str, beside: list[Path], dtype: str) -> dict[str, Any]:
    """What the card says of a conversion, without the files that it made."""
    said = {key: gguf.get(f"general.{key}", str) for key in ("architecture", "name", "license")}
    types = [*gguf.types]
    quantised = not {*types} <= {*FLOATS}
    notes = ["The file is not quantised."]
    if quantised:
        notes = ["The weights are those of the quantised file."]
        notes += ["The file alone does not tell how far they are from the weights that it was made from."]
    if dtype == "bfloat16" and types != ["BF16"]:
        notes += ["They are rounded to bfloat16."]
    return {
        "gguf": {"file": gguf.path.name, "sha256": sha256} | {key: value for key, value in said.items() if value},
        "tokenizer": "files beside the GGUF file" if beside else "the GGUF file",
        "parameters": gguf.parameters,
        "tensors": gguf.types,
        "bits_per_weight": round(gguf.bits_per_weight, 3),
        "dtype": dtype,
        "conversion": VERSION,
        "note": " ".join(notes),
    }
