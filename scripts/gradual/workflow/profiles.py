"""Reading a Snakemake profile: its executor and its resources, which say where jobs run."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.strict_yaml import read_mapping

FILE = re.compile(r"(profile|config)(?:\.v(\d+)\+)?\.yaml")  # the file names that Snakemake accepts


@dataclass(frozen=True)
class Profile:
    """A profile.

    `executor` is "local" if the profile names none. `conda` says whether rules run in conda environments. `set_resources`
    are the resources by rule, and `default_resources` those of all rules.
    """

    file: Path
    executor: str
    conda: bool
    set_resources: dict[str, dict[str, Any]]
    default_resources: dict[str, Any]

    def resource(self, rule: str, name: str, default: Any) -> Any:
        """The value that the profile sets for a rule, else its value for all rules, else the rule's own."""
        return self.set_resources.get(rule, {}).get(name, self.default_resources.get(name, default))

    def gpus(self, rule: str, default: int) -> int:
        """The number of GPUs of a rule's jobs. Raises InputError if the profile sets something else than an integer."""
        given = self.resource(rule, "gpu", default)
        if not isinstance(given, int):
            raise InputError(self.file, f"{given!r} GPUs for {rule}", "a number", key="set-resources")
        return given


def read_profile(name: str, root: Path) -> Profile:
    """A profile from its folder or file, or from the folder of its name in profiles/.

    Raises InputError for a profile that does not exist, and for resources in a format that Snakemake refuses.
    """
    places = [root / name, root / "profiles" / name]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        known = ", ".join(f"profiles/{path.name}" for path in sorted((root / "profiles").glob("*")))
        raise InputError(name, "no such profile", f"a profile's folder: {known}", key="PROFILE")
    file = found if found.is_file() else _file(found)
    given = read_mapping(file, "a Snakemake profile, in YAML")
    rules: dict[str, dict[str, Any]] = {}
    for rule, entry in _pairs(given.get("set-resources"), ":", file, "set-resources"):
        rules.setdefault(rule, {}).update(_pairs(entry if isinstance(entry, dict) else [entry], "=", file, rule))
    return Profile(
        file,
        str(given.get("executor") or "local"),
        any("conda" in str(given.get(key) or "") for key in ("software-deployment-method", "sdm", "use-conda")),
        rules,
        dict(_pairs(given.get("default-resources"), "=", file, "default-resources")),
    )


def _file(folder: Path) -> Path:
    versions = [(match, path) for path in folder.iterdir() if (match := FILE.fullmatch(path.name))]
    if not versions:
        raise InputError(folder, "has no profile.yaml", "a Snakemake profile", key="PROFILE")
    return max(versions, key=lambda found: (int(found[0][2] or 0), found[0][1] == "profile"))[1]


def _pairs(given: Any, separator: str, file: Path, key: str) -> list[tuple[str, Any]]:
    """The pairs of a mapping, or of a list of texts with a separator between key and value."""
    if given is None:
        return []
    if isinstance(given, dict):
        return [(name, _plain(value)) for name, value in given.items()]
    if isinstance(given, list) and all(isinstance(entry, str) and separator in entry for entry in given):
        pairs = (entry.split(separator, 1) for entry in given)
        return [(name, int(value) if value.isdecimal() else _plain(value)) for name, value in pairs]
    raise InputError(file, f"{given!r}", f"a mapping, or a list of texts with {separator!r}", key=key)


def _plain(value: Any) -> Any:
    """A value without its inner quotes. They tell Snakemake that a text is not an expression."""
    quoted = isinstance(value, str) and len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value
