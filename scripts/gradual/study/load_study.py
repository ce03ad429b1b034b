"""Loading a study's config from its files, for Snakemake and for the scripts that run without it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.strict_yaml import read_mapping
from gradual.study.config import load_config, overlay
from gradual.study.runs import Config


def load_files(files: Iterable[Path], given: Mapping[str, Any], root: Path) -> Config:
    """The complete, checked config of a study whose own keys are in files, each over the one before, and in `given`.

    Snakemake merges the files of --configfile and the values of --config in this way, but of a key that is in a file twice
    it takes the last silently. Raises InputError for a file or a config that is wrong.
    """
    own: Config = {}
    for file in files:
        own = overlay(own, read_mapping(Path(file), "a study's config, in YAML"))
    return load_config(overlay(own, given), root / "config.yaml", root / "schemas" / "config.schema.json")


def load_study(name: str, root: Path) -> Config:
    """The complete, checked config of a study, by `default`, by the name of a file in studies/, or by a config's path.

    Raises InputError for a study that does not exist or is wrong, and for a file in studies/ that names another study.
    """
    if name == "default":
        return load_files([], {}, root)
    if name.endswith((".yaml", ".yml")):
        return load_files([Path(name)], {}, root)
    files = {file.stem: file for file in sorted((root / "studies").glob("*.yaml"))}
    if name not in files:
        raise InputError(f"STUDY={name}", "there is no such study", f"one of {', '.join(['default', *files])}")
    config = load_files([files[name]], {}, root)
    if config["study"] != name:
        raise InputError(files[name], f"{config['study']!r}", f"{name}, as the file is named", key="study")
    return config
