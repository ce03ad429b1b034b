"""Loading a study outside Snakemake, by the name that the Makefile accepts.

A name is `default`, the name of a file in studies/, or the path of a config.
"""

from pathlib import Path

from gradual.study.config import load_config, read_yaml
from gradual.study.runs import Config


def load_study(name: str, root: Path) -> Config:
    """The complete, checked config of a study; InputError for one that does not exist or is wrong."""
    overrides = {}
    if name != "default":
        path = Path(name) if name.endswith((".yaml", ".yml")) else root / "studies" / f"{name}.yaml"
        known = ", ".join(["default", *sorted(file.stem for file in (root / "studies").glob("*.yaml"))])
        overrides = read_yaml(path, f"a study's config in YAML: STUDY={known}")
    return load_config(overrides, root / "config.yaml", root / "schemas" / "config.schema.json")
