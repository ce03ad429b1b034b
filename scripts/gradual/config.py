"""The config of a study: the default one overlaid with the study's own keys, checked against its schema and as a whole.

Merging: the sections `models`, `runs` and `dataset` are replaced whole where the study gives them; other mappings merge
key by key; lists and scalars replace. Keys that are still missing take the schema's defaults.
"""

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from gradual.errors import InputError
from gradual.knowledge import FULL, GREEDY_ONLY

ORIGIN = "origin"
REPLACED_WHOLE = ("models", "runs", "dataset")
# Folders of a model's results that no run may take.
RESERVED = (ORIGIN, "base")
# What an adapter is made with: a run that continues one cannot change it.
ADAPTER_SHAPE = ("rank", "alpha", "dropout", "targets")
NAMES_PER_COUNTRY = 400  # people that a country's given names and surnames suffice for, with room to spare


class Issue(NamedTuple):
    """One thing that is wrong with a config."""

    key: str
    problem: str
    expected: str


@dataclass(frozen=True)
class Run:
    """A run of a study: a state of the model, made from its parent."""

    name: str
    parent: str
    select: dict[str, list[str]]  # state -> categories
    replay: dict[str, Any] | None  # category, ratio, state
    settings: dict[str, Any]  # the keys of `training`, with the run's own values


def load_config(overrides: Mapping[str, Any], default: Path, schema: Path) -> dict[str, Any]:
    """The default config with a study's overrides, complete and checked.

    Raises InputError that names the study (or "config") and all problems: key, value and what was expected.
    """
    rules = json.loads(Path(schema).read_text(encoding="utf-8"))
    study = overrides.get("study")
    file = study if isinstance(study, str) else "config"
    issues: list[Issue] = []
    base = _plain(_read_yaml(default), issues)
    config = _fill(_merge(base, _plain(overrides, issues)), rules, rules)
    issues += _schema_issues(config, rules)
    broken = {issue.key.replace("[", ".").partition(".")[0] for issue in issues}
    for check, sections in CHECKS:
        if broken.isdisjoint(sections):
            issues += check(config)
    if issues:
        _refuse(file, sorted(set(issues)))
    return config


def runs(config: dict[str, Any]) -> dict[str, Run]:
    """The runs of a checked config, in its order."""
    return {
        name: Run(
            name=name,
            parent=run["from"],
            select=run["select"],
            replay={"state": run["from"], **run["replay"]} if run.get("replay") else None,
            settings=_settings(config, run),
        )
        for name, run in config["runs"].items()
    }


def states_needed(run: Run) -> set[str]:
    """The states whose categories the run selects or replays from."""
    return {*run.select, *([run.replay["state"]] if run.replay else [])}


def adapter_chain(runs: dict[str, Run], state: str) -> list[str]:
    """The states whose adapters are merged into the base model, in order, to obtain the state; [] for origin.

    An adapter that continues its parent's takes its place; one that was trained on merged weights follows it.
    """
    if state == ORIGIN:
        return []
    chain = adapter_chain(runs, runs[state].parent)
    return [*(chain if runs[state].settings["adapter"] == "merge" else chain[:-1]), state]


def probe_mode(config: dict[str, Any], state: str) -> str:
    """How a state is probed: "full" or "greedy" (see `knowledge.categorize`)."""
    return "full" if state == ORIGIN else config["probe"]["trained_states"]


def resolve(schema: Any, rules: dict[str, Any]) -> dict[str, Any]:
    """A part of the schema `rules` with its $ref followed; keys beside the $ref win."""
    if not isinstance(schema, dict):  # true or false
        return {}
    while "$ref" in schema:
        target = rules
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target | {key: value for key, value in schema.items() if key != "$ref"}
    return schema


def describe(schema: dict[str, Any], rules: dict[str, Any]) -> str:
    """What a schema wants, in words."""
    schema = resolve(schema, rules)
    if "enum" in schema:
        values = [show(value) if value is None else str(value) for value in schema["enum"]]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "title" in schema:
        words = schema["title"]
    elif "integer" in types or "number" in types:
        words = f"a {'whole ' if 'integer' in types else ''}number{_range(schema)}"
    elif "string" in types:
        words = "a text that is not empty" if schema.get("minLength") else "a text"
    elif "array" in types:
        items = describe(schema["items"], rules)
        words = f"a list, each item {items}" + (", at least one" if schema.get("minItems") else "")
        words += f", {show(schema['contains']['const'])} among them" if "contains" in schema else ""
        words += ", none twice" if schema.get("uniqueItems") else ""
    else:
        words = "a mapping" + (" that is not empty" if schema.get("minProperties") else "")
    return f"{words}, or null" if "null" in types else words


def show(value: Any) -> str:
    """A config value as YAML would take it, cut short where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    bounds = [
        f"{words} {schema[key]}"
        for key, words in (
            ("minimum", "of at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if key in schema
    ]
    return " " + " and ".join(bounds) if bounds else ""


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(path, f"cannot be read ({error})", "a YAML file") from error
    if not isinstance(value, dict):
        raise InputError(path, f"holds {show(value)}", "a mapping of sections")
    return value


def _plain(value: Any, issues: list[Issue], path: str = "") -> Any:
    """The value in plain dicts and lists of its own; keys that are not text are noted and turned into text."""
    if isinstance(value, Mapping):
        plain = {}
        for key, part in value.items():
            if not isinstance(key, str):
                issues.append(
                    Issue(_join(path, key), f"the key {show(key)} is no text", "a text, if need be in quotes")
                )
            plain[str(key)] = _plain(part, issues, _join(path, key))
        return plain
    if isinstance(value, list | tuple):
        return [_plain(part, issues, f"{path}[{index}]") for index, part in enumerate(value)]
    return value


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _merge(base: Any, over: Any, whole: Iterable[str] = REPLACED_WHOLE) -> Any:
    """`base` overlaid with `over`; the keys in `whole` are replaced, not merged."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merge(base[key], value, ()) if key in base and key not in whole else value
    return merged


def _fill(value: Any, schema: Any, rules: dict[str, Any]) -> Any:
    """The value with the schema's defaults for keys that it lacks. Runs stay as they are: their defaults are `training`."""
    schema = resolve(schema, rules)
    if not isinstance(value, dict) or schema is resolve(rules["$defs"]["run"], rules):
        return value
    known = schema.get("properties", {})
    filled = {
        key: _fill(part, known.get(key, schema.get("additionalProperties")), rules) for key, part in value.items()
    }
    for key, part in known.items():
        part = resolve(part, rules)
        if key not in filled and "default" in part:
            filled[key] = deepcopy(part["default"])
    return filled


def _nearest(name: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _refuse(file: str, issues: list[Issue]) -> None:
    if len(issues) == 1:
        raise InputError(file, issues[0].problem, issues[0].expected, key=issues[0].key)
    *first, last = issues
    lines = [f"{len(issues)} problems", *(f"  key {i.key!r}: {i.problem}; expected {i.expected}" for i in first)]
    raise InputError(file, "\n".join([*lines, f"  key {last.key!r}: {last.problem}"]), last.expected)


def _schema_issues(config: dict[str, Any], rules: dict[str, Any]) -> Iterator[Issue]:
    """What breaks the schema. Whole numbers are ints (not 1.0), and numbers are finite."""
    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ).redefine(
        "number",
        lambda _, value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    )
    validator = validators.extend(Draft202012Validator, type_checker=checker)(rules)
    for error in validator.iter_errors(config):
        yield from _issues(error, rules)


def _issues(error: ValidationError, rules: dict[str, Any]) -> Iterator[Issue]:
    path = ""
    for part in error.absolute_path:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    value, schema = error.instance, error.schema
    if error.validator is None:  # a property whose schema is false
        source = path.rpartition(".")[0] + ".source"
        yield Issue(path, "does not belong to a model of this source", f"no such key, or another {source}")
    elif error.validator == "additionalProperties":
        known = list(schema["properties"])
        for key in value:
            if key not in known:
                yield Issue(_join(path, key), "unknown key", _known_key(key, known, rules))
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in value:
                wanted = _property(rules, error, key)
                yield Issue(_join(path, key), "is missing", describe(wanted, rules) if wanted else "it")
    elif "propertyNames" in error.absolute_schema_path:
        yield Issue(_join(path, value), f"{value!r} cannot be a name", describe(schema, rules))
    else:
        expected = describe(schema, rules)
        if error.validator == "enum":
            expected += _nearest(value, [str(v) for v in schema["enum"]]) if isinstance(value, str) else ""
        elif error.validator == "type" and isinstance(value, str) and "number" in expected:
            expected += _text_number(value)
        yield Issue(path, show(value), expected)


def _property(rules: dict[str, Any], error: ValidationError, key: str) -> dict[str, Any] | None:
    """The schema of a missing property; required keys of a model stand in its conditions, apart from its properties."""
    schema = error.schema if key in error.schema.get("properties", {}) else rules["$defs"]["model"]
    return schema["properties"].get(key)


def _known_key(key: str, known: list[str], rules: dict[str, Any]) -> str:
    if near := _nearest(key, known):
        return f"a known key{near}"
    elsewhere = [f"{s}.{key}" for s, part in rules["properties"].items() if key in part.get("properties", {})]
    if elsewhere:
        return f"a known key (did you mean {elsewhere[0]!r}?)"
    return f"one of the keys {', '.join(known)}"


def _text_number(value: str) -> str:
    """A hint for numbers such as 3e-4, which YAML takes for text."""
    try:
        return f" (YAML takes {value} for text; write it with a point and without quotes, as 3.0e-4)" * bool(
            float(value)
        )
    except ValueError:
        return ""


def _settings(config: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    return {key: run.get(key, value) for key, value in config["training"].items()}


def _check_dataset(config: dict[str, Any]) -> Iterator[Issue]:
    dataset = config["dataset"]
    if dataset["reader"] == "world":
        for key in ("path", "url", "sha256"):
            if dataset[key] is not None:
                yield Issue(f"dataset.{key}", show(dataset[key]), "null with reader world, which has no raw files")
        for split in ("test", "dev"):
            if split not in dataset["carve"]:
                yield Issue(f"dataset.carve.{split}", "is missing", "a share of train, as the world is all train")
    elif not dataset["path"] and not dataset["url"]:
        yield Issue("dataset.path", "is missing", f"dataset.path or dataset.url with reader {dataset['reader']}")
    if dataset["url"] and not dataset["sha256"]:
        yield Issue("dataset.sha256", "is missing", "the digest of what dataset.url gives")
    if sum(dataset["carve"].values()) >= 1:
        yield Issue("dataset.carve", f"the shares {show(dataset['carve'])} leave no train facts", "a sum below 1")


def _check_world(config: dict[str, Any]) -> Iterator[Issue]:
    world = config["world"]
    most = NAMES_PER_COUNTRY * world["countries"]
    if world["people"] > most:
        expected = f"at most {most}, {NAMES_PER_COUNTRY} per country, so that their names suffice"
        yield Issue("world.people", show(world["people"]), expected)


def _check_models(config: dict[str, Any]) -> Iterator[Issue]:
    labels: dict[str, str] = {}
    for name, model in config["models"].items():
        key = f"models.{name}"
        if model["label"] in labels:
            yield Issue(f"{key}.label", f"{model['label']!r} is also models.{labels[model['label']]}", "another label")
        labels.setdefault(model["label"], name)
        if model["source"] != "pretrain":
            continue
        hidden, heads, shared = model["hidden_size"], model["heads"], model["key_value_heads"]
        if hidden % (2 * heads):
            yield Issue(f"{key}.hidden_size", show(hidden), f"an even number per head: a multiple of 2 x {heads} heads")
        if heads % shared:
            yield Issue(f"{key}.heads", show(heads), f"a multiple of {shared} key_value_heads")


def _check_prompts(config: dict[str, Any]) -> Iterator[Issue]:
    if config["dataset"]["reader"] == "world":
        splits = {"train", *config["dataset"]["carve"]}
        for section in ("probe", "evaluation"):
            split = config[section]["exemplar_split"]
            if split not in splits:
                yield Issue(f"{section}.exemplar_split", show(split), f"one of {', '.join(sorted(splits))}")
    for name, model in config["models"].items():
        if config["probe"]["format"] == "chat" and model["source"] == "pretrain":
            yield Issue("probe.format", f'"chat", but models.{name} has no chat template', "plain with source pretrain")


def _check_choice(config: dict[str, Any]) -> Iterator[Issue]:
    if config["choose_on"] not in config["evaluation"]["splits"]:
        yield Issue(
            "choose_on", show(config["choose_on"]), f"one of evaluation.splits {config['evaluation']['splits']}"
        )


def _check_runs(config: dict[str, Any]) -> Iterator[Issue]:
    states = [ORIGIN, *config["runs"]]
    for key, settings in [
        ("training", config["training"]),
        *((f"runs.{name}", _settings(config, run)) for name, run in config["runs"].items()),
    ]:
        own = config["runs"].get(key.removeprefix("runs."), settings)
        if settings["batch"] % settings["micro_batch"] and ("batch" in own or "micro_batch" in own):
            expected = f"a divisor of the batch, {settings['batch']}"
            yield Issue(f"{key}.micro_batch", show(settings["micro_batch"]), expected)

    def unknown(key: str, state: str) -> Iterator[Issue]:
        if state not in states:
            expected = f"{ORIGIN} or a run: one of {', '.join(states)}{_nearest(state, states)}"
            yield Issue(key, f"there is no state {state!r}", expected)

    def unavailable(key: str, state: str, categories: list[str]) -> Iterator[Issue]:
        available = FULL if probe_mode(config, state) == "full" else GREEDY_ONLY
        for category in categories:
            if state in states and category not in available:
                problem = f"{category!r} is no category of {state}"
                yield Issue(
                    key, problem, f"one of {', '.join(available)} (probe.trained_states tells how it is probed)"
                )

    for name, run in config["runs"].items():
        key = f"runs.{name}"
        if name in RESERVED:
            yield Issue(key, f"{name!r} cannot be a run's name", f"another name than {' and '.join(RESERVED)}")
        yield from unknown(f"{key}.from", run["from"])
        for state, categories in run["select"].items():
            yield from unknown(f"{key}.select.{state}", state)
            yield from unavailable(f"{key}.select.{state}", state, categories)
        if replay := run.get("replay"):
            state = replay.get("state", run["from"])
            if "state" in replay:
                yield from unknown(f"{key}.replay.state", state)
            yield from unavailable(f"{key}.replay.category", state, [replay["category"]])
    yield from _check_order(config)
    yield from _check_continued(config)


def _check_order(config: dict[str, Any]) -> Iterator[Issue]:
    """Every state that a run starts, selects or replays from must exist before it."""
    table = runs(config)
    needs = {
        name: sorted({run.parent, *states_needed(run)} & table.keys()) if name != ORIGIN else []
        for name, run in table.items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]  # graphlib gives each node before the one that needs it
        path = " needs ".join(circle)
        yield Issue(f"runs.{circle[0]}", f"a circle: {path}", "runs that only use states that exist before them")


def _check_continued(config: dict[str, Any]) -> Iterator[Issue]:
    table = runs(config)
    for run in table.values():
        parent = table.get(run.parent)
        if not parent or run.parent == ORIGIN or run.settings["adapter"] != "continue":
            continue
        for key in ADAPTER_SHAPE:
            was = parent.settings[key]
            if run.settings[key] != was:
                expected = f"{show(was)}, as the adapter of {parent.name} that it continues, or adapter: merge"
                yield Issue(f"runs.{run.name}.{key}", show(run.settings[key]), expected)


def _check_tables(config: dict[str, Any]) -> Iterator[Issue]:
    known = list(config["runs"])
    for key in ("one_stage", "two_stage"):
        run = config["tables"][key]
        if run not in known:
            expected = f"one of {', '.join(known)}{_nearest(run, known)}"
            yield Issue(f"tables.{key}", f"there is no run {run!r}", expected)


def _check_retests(config: dict[str, Any]) -> Iterator[Issue]:
    if 4 in config["tables"]["show"] and not config["probe"]["retests"]:
        yield Issue("probe.retests", "0", "at least 1 for Table 4, or tables.show without it")


# Each check with the sections it reads; it is left out where one of them breaks the schema.
CHECKS = (
    (_check_dataset, {"dataset"}),
    (_check_world, {"world"}),
    (_check_models, {"models"}),
    (_check_prompts, {"dataset", "probe", "evaluation", "models"}),
    (_check_choice, {"choose_on", "evaluation"}),
    (_check_runs, {"training", "runs", "probe"}),
    (_check_tables, {"tables", "runs"}),
    (_check_retests, {"tables", "probe"}),
)
