"""Base models that are part of the repository, so that every machine starts from the same weights.

Each is a folder of `pretrained/`: the files of a model, the losses of its pretraining, and a card. The card has the recipe,
which is everything that the weights follow from. A study takes the model that has its own recipe, and no other.
"""

import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import digest, read_json, write_json
from gradual.models.folder import model_files

SHELF = "pretrained"  # the folder of the shipped models, in the project's folder
CARD = "card.json"
LOSS = "loss.csv"
Recipe = Mapping[str, Any]  # the keys of a card's recipe: model, settings, seed, corpus, code


def texts_digest(texts: Iterable[str]) -> str:
    """sha256 of the texts of a corpus, in their order. The format of the corpus file does not count."""
    found = sha256()
    for text in texts:
        encoded = text.encode()
        found.update(b"%d\n%b" % (len(encoded), encoded))
    return found.hexdigest()


def find(recipe: Recipe, shelf: Path) -> Path | None:
    """The folder of the model on the shelf that has this recipe, or None.

    Raises InputError where a card cannot be read.
    """
    return next((card.parent for card in cards(shelf) if card_part(card, "recipe") == recipe), None)


def cards(shelf: Path) -> list[Path]:
    """The cards of all models on the shelf."""
    return sorted(shelf.glob(f"*/{CARD}"))


def take(folder: Path, to: Path) -> None:
    """Copy a shipped model's files into the folder `to`. Raises InputError where one is not as its card says."""
    digests = card_part(folder / CARD, "sha256")
    for name, expected in digests.items():
        if not (folder / name).is_file() or digest(folder / name) != expected:
            raise InputError(folder / name, "is not as the card says", "the file as it was shipped (git checkout)")
    to.mkdir(parents=True, exist_ok=True)
    for name in digests:
        shutil.copyfile(folder / name, to / name)


def ship(made: Path, folder: Path, recipe: Recipe, about: Mapping[str, Any]) -> None:
    """Put a model that was made, with its losses, into a folder of the shelf, and write its card with `about` in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in (*model_files(made), made / LOSS):
        shutil.copyfile(file, folder / file.name)
    digests = {file.name: digest(file) for file in sorted(folder.iterdir())}
    write_json({"recipe": recipe, "sha256": digests, **about}, folder / CARD)


def equal(made: Path, folder: Path) -> bool:
    """Whether a model that was made again has exactly the files of a shipped one, and the same losses."""
    digests = card_part(folder / CARD, "sha256")
    return all((made / name).is_file() and digest(made / name) == expected for name, expected in digests.items())


def card_part(card: Path, key: str) -> dict[str, Any]:
    """The value of a card's key. Raises InputError where the card has none."""
    found = read_json(card, "the card of a shipped model")
    if not isinstance(found, dict) or not isinstance(found.get(key), dict):
        raise InputError(card, "the key is missing or broken", "a card as `make pretrained` writes it", key=key)
    part: dict[str, Any] = found[key]
    return part
