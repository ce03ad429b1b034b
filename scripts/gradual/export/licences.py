"""The licences of the datasets, which decide whether the texts of facts may be passed on.

A fact's texts are its subject, its question and its answers. Labels without them are this benchmark's own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

OWN = "mit"  # the licence of this repository, of the generated worlds and of the labels
OTHER = "other"  # the hub's word for a licence that it does not know


class Licence(NamedTuple):
    """The licence of a study's facts: its identifier on the hub, and whether it lets us pass on their texts."""

    name: str
    texts: bool


# Readers whose data are under a licence that lets everybody pass them on, as their publishers state it.
SHARED = {
    "world": OWN,
    "entity_questions": "mit",
    "nq_open": "cc-by-sa-3.0",
    "popqa": "mit",
    "simple_qa": "mit",
    "counterfact": "mit",
    "lama": "cc-by-nc-4.0",
}
# How licences are named in a CITATION.cff, by their names on the hub.
SPDX = {
    "mit": "MIT",
    "apache-2.0": "Apache-2.0",
    "cc0-1.0": "CC0-1.0",
    **{
        f"cc-{kind}": f"CC-{kind.upper()}" for kind in ("by-4.0", "by-sa-3.0", "by-sa-4.0", "by-nc-4.0", "by-nc-sa-4.0")
    },
}


def licence_of(dataset: Mapping[str, Any], told: str | None) -> Licence:
    """The licence of the facts of a config's section dataset; `told` is the one that the user names, which counts first.

    Nothing is known about the data of other readers, such as WikiQA (a research licence) or a table of the user's own. So
    their texts are left out. Data in studies/ are part of this repository.
    """
    if told:
        return Licence(told, texts=True)
    if Path(dataset.get("path") or "").parts[:1] == ("studies",):
        return Licence(OWN, texts=True)
    known = SHARED.get(dataset["reader"])
    return Licence(known, texts=True) if known else Licence(OTHER, texts=False)
