"""The config of a study: the default config with the study's own keys over it, complete and checked."""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from gradual.ground.errors import InputError
from gradual.ground.strict_yaml import read_mapping
from gradual.knowledge.golds import FIRST
from gradual.study.config_checks import CHECKS
from gradual.study.config_problems import Problem, nearest
from gradual.study.config_texts import secret_at, text_problem
from gradual.study.methods import made_runs
from gradual.study.run_checks import check_methods
from gradual.study.runs import Config

REPLACED = ("dataset", "models")  # sections that a study replaces as a whole
NAMED = ("runs", "methods")  # sections whose members a study replaces or, with null, removes


def load_config(overrides: Mapping[str, Any], default: Path, schema: Path) -> Config:
    """The complete and checked config of a study.

    `overrides` are the study's own keys. They lie over the files that the study extends, and these lie over `default`.
    Mappings merge key by key. The sections dataset and models, each run, each method, and lists are replaced as a whole. A
    run or a method that is null is removed. `extends` names a file of studies/ beside config.yaml. Without the key `study`,
    `overrides` change the default study, and only then does `extends` of config.yaml count. The runs of the stages and
    methods are among the runs. Raises one InputError with all problems of the config,
    but without any value of a config that has a password or a token.
    """
    rules = json.loads(Path(schema).read_text(encoding="utf-8"))
    problems: list[Problem] = []
    base = _plain(read_mapping(Path(default), "the default config, in YAML"), (), problems)
    own = _plain(overrides, (), problems)
    if "study" in own:
        base = _without(base, "extends")
    extended = own.get("extends", base.get("extends"))
    if extended is None:  # the runs that the default models name are in the file that config.yaml extends
        base["models"] = {name: _without(model, "runs") for name, model in base["models"].items()}
    layers = [*_extended(extended, Path(default).parent / "studies", problems), own]
    for layer in (base, *layers):
        if (place := secret_at(layer)) is not None:
            expected = (
                "none, because Snakemake prints and keeps a job's settings; a token of the hub is taken from HF_TOKEN"
            )
            raise InputError("config", "a password or a token", expected, key=_dotted(place))
    merged = base
    for layer in layers:
        merged = _overlaid(merged, layer, problems)
    for section in NAMED:
        if isinstance(merged.get(section), dict):
            merged[section] = {name: value for name, value in merged[section].items() if value is not None}
    config = with_defaults(merged, rules, rules)
    config = {key: config[key] for key in rules["properties"] if key in config} | config
    problems += _schema_problems(config, rules)
    broken = {str(p.key).partition(".")[0].partition("[")[0] for p in problems}
    if broken.isdisjoint(("stages", "methods", "runs")):
        if found := list(check_methods(config)):
            problems += found
            broken.add("methods")
        else:
            config["runs"] = _with_made_runs(config, rules, problems)
    for sections, check in CHECKS:
        if broken.isdisjoint(sections):
            problems += check(config)
    if problems:
        name = overrides.get("study")
        raise _error(
            name if isinstance(name, str) and name and name.isprintable() else "config", list(dict.fromkeys(problems))
        )
    if config["dataset"]["single_answer"] is None:
        config["dataset"] |= {"single_answer": ["train"] if config["answers"] == FIRST else []}
    return config


def _without(mapping: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _overlaid(below: Config, layer: Config, problems: list[Problem]) -> Config:
    """The config `below` with a layer over it."""
    merged = dict(below)
    for key, value in layer.items():
        if key in NAMED:
            problems += _check_taken_away(key, merged.get(key) or {}, value)
        merged[key] = value if key in REPLACED else overlay(merged.get(key), value, deep=key not in NAMED)
    return merged


def _with_made_runs(config: Config, schema: Config, problems: list[Problem]) -> dict[str, Config]:
    """The runs that the stages and methods make, and the config's own runs."""
    made = {}
    for name, run, method, number in made_runs(config):
        place = f"methods.{method}" if method else f"stages[{number - 1}]"
        if name in made or name in config["runs"]:
            problems.append(Problem(place, f"it makes a run {name!r}, which is there already", "another name"))
        made[name] = with_defaults(run, schema["$defs"]["run"], schema)
    return made | config["runs"]


def _extended(name: Any, studies: Path, problems: list[Problem]) -> list[Config]:
    """The configs that a study extends, the most distant first, without their keys study and extends."""
    known = sorted(file.stem for file in studies.glob("*.yaml"))
    layers: list[Config] = []
    seen: list[str] = []
    while name is not None:
        if name not in known:
            problems.append(
                Problem("extends", f"there is no study {name!r} in {studies.name}/", nearest(str(name), known))
            )
            break
        if name in seen:
            problems.append(Problem("extends", f"{' extends '.join([*seen, name])}: a cycle", "another study, or null"))
            break
        seen.append(name)
        layer = _plain(read_mapping(studies / f"{name}.yaml", "a study's config, in YAML"), (), problems)
        name = layer.get("extends")
        layers.append(_without(layer, "study", "extends"))
    return layers[::-1]


def resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its $ref resolved. Its own keywords override those of the schema that it refers to."""
    if "$ref" not in schema:
        return dict(schema)
    target: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return resolve(target, root) | {key: value for key, value in schema.items() if key != "$ref"}


def expectation(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """What a schema expects, in words."""
    schema = resolve(schema, root)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    null = " or null" if "null" in types else ""
    if "title" in schema:
        return schema["title"] + null
    if "enum" in schema:
        return " or ".join("null" if value is None else str(value) for value in schema["enum"])
    if "array" in types:
        one, twice = (
            "at least one, " if schema.get("minItems") else "",
            "none twice" if schema.get("uniqueItems") else "",
        )
        contained = f", {schema['contains']['const']} among them" if "contains" in schema else ""
        limits = f"{one}{twice}".removesuffix(", ")
        return f"a list of: {expectation(schema['items'], root)}{f' ({limits}{contained})' if limits else ''}{null}"
    if "object" in types:
        return ("a mapping with at least one key" if schema.get("minProperties") else "a mapping") + null
    if "string" in types:
        return ("a text that is not empty" if schema.get("minLength") else "a text") + null
    if "boolean" in types:
        return "true or false"
    bounds = [
        f"{words} {schema[keyword]}"
        for keyword, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "more than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
        )
        if keyword in schema
    ]
    kind = "an integer" if "integer" in types else "a number"
    return kind + (f", {' and '.join(bounds)}" if bounds else "") + null


def _plain(value: Any, path: tuple[Any, ...], problems: list[Problem]) -> Any:
    """A deep copy with plain dicts and lists. A key that is not a text is a problem and is left out."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                problems.append(Problem(_dotted((*path, str(key))), f"the key {key!r}", "a text; quote it in YAML"))
        texts = {key: item for key, item in value.items() if isinstance(key, str)}
        return {key: _plain(item, (*path, key), problems) for key, item in texts.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, index), problems) for index, item in enumerate(value)]
    if isinstance(value, str) and (problem := text_problem(value)):
        problems.append(Problem(_dotted(path), problem, "a text that a command line can hold"))
    return value


def _check_taken_away(section: str, below: Config, above: Any) -> Iterator[Problem]:
    """Null must name an existing run or method, because a misspelt name would silently keep it."""
    for name, value in above.items() if isinstance(above, dict) else ():
        if value is None and name not in below:
            problem = f"null, but there is no such {section.removesuffix('s')} to remove"
            yield Problem(f"{section}.{name}", problem, nearest(name, below))


def overlay(below: Any, above: Any, deep: bool = True) -> Any:
    """The value `above`, or two mappings as one: key by key, and without `deep`, their values as a whole."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below} | {key: overlay(below.get(key), value) if deep else value for key, value in above.items()}
    return above


def with_defaults(value: Any, schema: Any, root: Config) -> Any:
    """The value with the schema's defaults for the keys it lacks."""
    if not isinstance(value, dict) or not isinstance(schema, dict):
        return value
    schema = resolve(schema, root)
    known = schema.get("properties", {})
    other = schema.get("additionalProperties")
    filled = {key: with_defaults(item, known.get(key, other), root) for key, item in value.items()}
    missing = {key: deepcopy(s["default"]) for key, s in known.items() if key not in filled and "default" in s}
    return filled | missing


def _dotted(path: Iterable[Any]) -> str | None:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or None


def _error(file: str, problems: list[Problem]) -> InputError:
    """One error that lists all problems. InputError itself writes what the last problem expected."""
    if len(problems) == 1:
        return InputError(file, problems[0].problem, problems[0].expected, key=problems[0].key)
    places = [f"\n  key {p.key!r}: {p.problem}" if p.key else f"\n  {p.problem}" for p in problems]
    lines = [f"{place}; expected {p.expected}" for place, p in zip(places[:-1], problems, strict=False)]
    return InputError(file, f"{len(problems)} problems:{''.join(lines)}{places[-1]}", problems[-1].expected)


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not re.fullmatch(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# JSON Schema accepts 3.0 as an integer, NaN as a number in any range, and a pattern's match with a part of a text: also
# with ^ and $, which leave out a line break at the end. This validator accepts none of these.
_Validator = extend(
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            ),
        }
    ),
)


def _schema_problems(config: Config, root: Config) -> list[Problem]:
    return [problem for error in _Validator(root).iter_errors(config) for problem in _translate(error, config, root)]


def _translate(error: ValidationError, config: Config, root: Config) -> Iterator[Problem]:
    """The problems that a validation error stands for, with the keys and values in their texts."""
    path = list(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for key in error.instance:
            if key not in known:
                yield Problem(_dotted([*path, key]), "unknown key", _nearest_key(key, known, path, root))
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                part = path[0] if path and path[0] in REPLACED else "a run" if path and path[0] == "runs" else None
                whole = f" ({part} is replaced as a whole, not merged)" if part else ""
                given = error.instance.get("source")
                kind = f" of a model with source: {given}" if given else ""
                yield Problem(_dotted([*path, key]), "missing", f"this key{kind}{whole}")
    elif error.validator == "not":  # the schema forbids names of keys
        model = config[path[0]][path[1]]
        key = _dotted([*path, error.instance])
        yield Problem(key, "this key has no use here", f"no such key with source: {model['source']}")
    elif "propertyNames" in error.absolute_schema_path:
        yield Problem(_dotted([*path, error.instance]), f"the name {error.instance!r}", expectation(error.schema, root))
    else:
        yield Problem(_dotted(path), f"{error.instance!r}", expectation(error.schema, root) + _yaml_hint(error))


def _yaml_hint(error: ValidationError) -> str:
    text = error.instance if error.validator == "type" and isinstance(error.instance, str) else ""
    return " (YAML reads it as a text; write a point, as in 1.0e-5)" if re.fullmatch(r"\d+[eE][-+]?\d+", text) else ""


def _nearest_key(key: str, known: Iterable[str], path: list[Any], root: Config) -> str:
    known = list(known)
    near = difflib.get_close_matches(key, known, 1)
    elsewhere = [section for section, s in root["properties"].items() if key in s.get("properties", {})]
    if near or elsewhere:
        meant = [_dotted([*path, near[0]])] if near else [f"{section}.{key}" for section in elsewhere]
        return f"a known key (did you mean {' or '.join(map(repr, meant))}?)"
    return f"one of {', '.join(known)}"
