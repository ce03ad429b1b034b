"""A study by name, as the Makefile takes it, outside Snakemake: `default`, a file of studies/, or a path to a config."""

from pathlib import Path

import yaml

from gradual.ground.errors import InputError
from gradual.study.config import load_config
from gradual.study.runs import Config
from gradual.tables import registry
from gradual.workflow import costs

Works = list[dict]


def load_study(name: str, root: Path) -> Config:
    """The complete, checked config of a study; InputError for one that there is not or that is wrong."""
    return load_config(_overrides(name, root), root / "config.yaml", root / "schemas" / "config.schema.json")


def works_of(config: Config) -> Works:
    """The work behind the tables that a study shows; InputError as of `registry.needs`."""
    shown = [registry.name_of(table) for table in config["tables"]["show"]]
    return costs.works(registry.all_needs(shown, config), config)


def download_of(config: Config) -> str | None:
    """Where the dataset's url is downloaded to, in the project's folder; studies of one url share the file."""
    url = config["dataset"]["url"]
    return f"data/{url.rpartition('/')[2]}" if url else None


def raw_source(config: Config, root: Path) -> Path | None:
    """The local copy of the dataset's raw files: its path, else its download; None where there is neither."""
    path, download = config["dataset"]["path"], download_of(config)
    places = ([Path(path).expanduser()] if path else []) + ([Path(download)] if download else [])
    return next((root / place for place in places if (root / place).exists()), None)


def _overrides(name: str, root: Path) -> dict:
    if name == "default":
        return {}
    path = Path(name) if name.endswith((".yaml", ".yml")) else root / "studies" / f"{name}.yaml"
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        known = ", ".join(["default", *sorted(file.stem for file in (root / "studies").glob("*.yaml"))])
        expected = f"a study's config in YAML: STUDY={known}"
        raise InputError(path, f"cannot be read ({error})", expected) from error
    if not isinstance(value, dict):
        raise InputError(path, f"holds {value!r}", "a mapping")
    return value
