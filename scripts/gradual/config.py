"""A study's config: the default one overlaid with the study's own keys, checked, and its table of runs."""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from gradual.engines.interface import LIKELIHOOD
from gradual.errors import InputError
from gradual.grading import OF_BEGINNINGS
from gradual.knowledge import FULL, GREEDY_ONLY

ORIGIN = "origin"
REPLACED = ("dataset", "models")  # sections that a study gives whole
NEED_DRAWS = ("scoring", "chance")  # tables that read the texts of sampled answers
ADAPTER_SHAPE = ("rank", "alpha", "dropout", "targets")  # what a continued adapter cannot change

Config = dict[str, Any]


class Problem(NamedTuple):
    """What is wrong with the value at a path (None: with the whole config), and what was expected there."""

    key: str | None
    problem: str
    expected: str


@dataclass(frozen=True)
class Run:
    """A state of the model: trained from its parent on the facts that have the selected categories.

    `select` maps states to categories; `size_of` is None or the run whose number of train facts this one draws;
    `replay` is None or has the keys category, ratio and state; `settings` has every key of the config's `training`.
    """

    name: str
    parent: str
    select: dict[str, list[str]]
    size_of: str | None
    replay: dict[str, Any] | None
    settings: dict[str, Any]


def load_config(overrides: Mapping[str, Any], default: Path, schema: Path) -> Config:
    """The default config overlaid with a study's overrides, complete and checked.

    The sections dataset and models are replaced whole, and so are lists, scalars and each run by its name (null takes it
    away); other mappings merge deeply.
    Raises one InputError with all problems of the config.
    """
    rules = json.loads(Path(schema).read_text(encoding="utf-8"))
    problems: list[Problem] = []
    merged = _plain(_read(Path(default)), (), problems)
    for key, value in _plain(overrides, (), problems).items():
        if key == "runs":
            problems += _check_taken_away(merged["runs"], value)
        merged[key] = value if key in REPLACED else _overlay(merged.get(key), value, deep=key != "runs")
    if isinstance(merged.get("runs"), dict):
        merged["runs"] = {name: run for name, run in merged["runs"].items() if run is not None}
    config = with_defaults(merged, rules, rules)
    problems += _schema_problems(config, rules)
    broken = {str(p.key).partition(".")[0].partition("[")[0] for p in problems}
    for sections, check in CHECKS:
        if broken.isdisjoint(sections):
            problems += check(config)
    if problems:
        name = overrides.get("study")
        raise _error(name if isinstance(name, str) and name else "config", list(dict.fromkeys(problems)))
    return config


def runs(config: Config) -> dict[str, Run]:
    """The runs of a config that has been loaded."""
    table = {}
    for name, given in config["runs"].items():
        replay = given.get("replay")
        table[name] = Run(
            name,
            given["from"],
            given["select"],
            given.get("size_of"),
            {"state": given["from"], **replay} if replay else None,
            {key: given.get(key, value) for key, value in config["training"].items()},
        )
    return table


def states_needed(run: Run) -> set[str]:
    """The states whose categories a run selects or replays from."""
    return set(run.select) | ({run.replay["state"]} if run.replay else set())


def _before(run: Run) -> set[str]:
    """The states and runs that a run needs."""
    return {run.parent, *states_needed(run), *([run.size_of] if run.size_of else [])} - {ORIGIN}


def adapter_chain(table: Mapping[str, Run], state: str) -> list[str]:
    """The states whose adapters, applied in order to the base model, give the state; none for the origin.

    A run that continues an adapter takes its place in the chain; one that merges adds its own.
    """
    if state == ORIGIN:
        return []
    run = table[state]
    chain = adapter_chain(table, run.parent)
    return [*(chain if run.settings["adapter"] == "merge" else chain[:-1]), state]


def runs_of(config: Config, model: str) -> list[str]:
    """The runs of a model, in the config's order: all unless it names its own."""
    named = config["models"][model]["runs"]
    return [name for name in config["runs"] if named is None or name in named]


def probe_mode(config: Config, state: str, probe: int = 0) -> str:
    """How a state is probed: "full" (with sampled answers) or "greedy", as every retest (probe 1 and above) is."""
    if probe:
        return "greedy"
    return "full" if state == ORIGIN else config["probe"]["trained_states"]


def resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what it refers to beneath its own keywords."""
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


def _read(path: Path) -> Any:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(path, f"cannot be read ({error})", "the default config, in YAML") from error
    if not isinstance(value, Mapping):
        raise InputError(path, f"holds {value!r}", "a mapping")
    return value


def _plain(value: Any, path: tuple[Any, ...], problems: list[Problem]) -> Any:
    """A deep copy with plain dicts and lists; keys that are no texts are problems and left out."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                problems.append(Problem(_dotted((*path, str(key))), f"the key {key!r}", "a text; quote it in YAML"))
        texts = {key: item for key, item in value.items() if isinstance(key, str)}
        return {key: _plain(item, (*path, key), problems) for key, item in texts.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, index), problems) for index, item in enumerate(value)]
    return value


def _check_taken_away(below: Config, above: Any) -> Iterator[Problem]:
    """Null takes away a run that there is: a misspelt name would silently keep it."""
    for name, run in above.items() if isinstance(above, dict) else ():
        if run is None and name not in below:
            yield Problem(f"runs.{name}", "null, but there is no such run to take away", _near(name, below))


def _overlay(below: Any, above: Any, deep: bool = True) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _overlay(below.get(key), value) if deep else value for key, value in above.items()}
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
    """One error for all problems; the last one gives it its end."""
    if len(problems) == 1:
        return InputError(file, problems[0].problem, problems[0].expected, key=problems[0].key)
    places = [f"\n  key {p.key!r}: {p.problem}" if p.key else f"\n  {p.problem}" for p in problems]
    lines = [f"{place}; expected {p.expected}" for place, p in zip(places[:-1], problems, strict=False)]
    return InputError(file, f"{len(problems)} problems:{''.join(lines)}{places[-1]}", problems[-1].expected)


def _near(name: str, known: Iterable[str]) -> str:
    """What is known, beginning with what is nearest to a name."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"a known name (did you mean {near[0]!r}?)"
    return f"one of {', '.join(known)}" if known else "none"


# JSON Schema takes 3.0 for an integer and NaN for a number of any range.
_Validator = extend(
    Draft202012Validator,
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
    """The problems that a validation error stands for, in words that name paths and values."""
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
                whole = f" ({part} is replaced whole, not merged)" if part else ""
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
    return " (a text to YAML, which wants a point, as in 1.0e-5)" if re.fullmatch(r"\d+[eE][-+]?\d+", text) else ""


def _nearest_key(key: str, known: Iterable[str], path: list[Any], root: Config) -> str:
    known = list(known)
    near = difflib.get_close_matches(key, known, 1)
    elsewhere = [section for section, s in root["properties"].items() if key in s.get("properties", {})]
    if near or elsewhere:
        meant = [_dotted([*path, near[0]])] if near else [f"{section}.{key}" for section in elsewhere]
        return f"a known key (did you mean {' or '.join(map(repr, meant))}?)"
    return f"one of {', '.join(known)}"


def _check_dataset(config: Config) -> Iterator[Problem]:
    dataset = config["dataset"]
    reader, carve = dataset["reader"], dataset["carve"]
    if reader == "world":
        for key in ("path", "url"):
            if dataset[key] is not None:
                yield Problem(f"dataset.{key}", f"{dataset[key]!r}", "null with reader: world, which is generated")
        for split in ("test", "dev"):
            if split not in carve:
                problem = "missing (dataset is replaced whole, not merged)"
                yield Problem(f"dataset.carve.{split}", problem, "a share: the world has no such split of its own")
    elif dataset["path"] is None and dataset["url"] is None:
        yield Problem("dataset.path", "neither path nor url", f"the raw files of reader: {reader}")
    if dataset["url"] is not None and dataset["sha256"] is None and dataset["manifest"] is None:
        yield Problem("dataset.sha256", "missing", "the digest of the download or a manifest, as there is a url")
    if dataset["sha256"] is not None and dataset["url"] is None:
        yield Problem("dataset.sha256", f"{dataset['sha256']!r}", "null without a url: only a download is checked")
    if sum(carve.values()) >= 1:
        yield Problem("dataset.carve", f"{carve} leaves no train facts", "shares whose sum is less than 1")


def _check_exemplars(config: Config) -> Iterator[Problem]:
    dataset = config["dataset"]
    if dataset["reader"] == "jsonl" or "support" in dataset["carve"]:
        return
    for section in ("probe", "evaluation"):
        if config[section]["exemplar_split"] == "support":
            yield Problem(
                f"{section}.exemplar_split", "'support'", "a split that there is, or a share dataset.carve.support"
            )


def _check_corpus(config: Config) -> Iterator[Problem]:
    corpus = config["corpus"]
    pretrained = any(model["source"] == "pretrain" for model in config["models"].values())
    if pretrained and corpus["questions"] and not corpus["asked"] and "support" not in config["dataset"]["carve"]:
        yield Problem("corpus.asked", "0", "facts that question documents may ask, or a share dataset.carve.support")


def _check_models(config: Config) -> Iterator[Problem]:
    labels: dict[str, str] = {}
    for name, model in config["models"].items():
        other = labels.setdefault(model["label"], name)
        if other != name:
            problem = f"{model['label']!r}, the label of models.{other}"
            yield Problem(f"models.{name}.label", problem, "another one, to tell the models apart in the tables")
        if model["source"] != "pretrain":
            continue
        size, heads, groups = model["hidden_size"], model["heads"], model["key_value_heads"]
        if size % (2 * heads):
            yield Problem(f"models.{name}.hidden_size", f"{size}", f"a multiple of 2 x heads ({2 * heads})")
        if heads % groups:
            yield Problem(f"models.{name}.heads", f"{heads}", f"a multiple of key_value_heads ({groups})")


def _check_models_runs(config: Config) -> Iterator[Problem]:
    """A model that names its runs has all that these need."""
    table = runs(config)
    for model, settings in config["models"].items():
        for i, name in enumerate(settings["runs"] or []):
            key = f"models.{model}.runs[{i}]"
            if name not in table:
                yield Problem(key, f"there is no run {name!r}", _near(name, table))
                continue
            for needed in sorted(_before(table[name]) & set(table) - set(settings["runs"])):
                yield Problem(key, f"{name} needs {needed}", f"{needed} among the runs of the model")


def _check_format(config: Config) -> Iterator[Problem]:
    for name, model in config["models"].items():
        if config["probe"]["format"] == "chat" and model["source"] == "pretrain":
            problem = f"'chat', but models.{name} is pretrained here and has no chat template"
            yield Problem("probe.format", problem, "plain, or models of another source")


def _check_batches(config: Config) -> Iterator[Problem]:
    sections = {"training": config["training"]} | {f"runs.{name}": run.settings for name, run in runs(config).items()}
    for section, settings in sections.items():
        batch, micro_batch = settings["batch"], settings["micro_batch"]
        if micro_batch < batch and batch % micro_batch:
            problem = f"a batch of {batch} is no multiple of {micro_batch}"
            yield Problem(f"{section}.micro_batch", problem, "a divisor of the batch")
            if section == "training":
                return  # the runs have it from there


def _check_likelihood(config: Config) -> Iterator[Problem]:
    """Likelihoods in the place of draws say nothing where the text of a draw matters."""
    if config["probe"]["sampled"] != LIKELIHOOD:
        return
    why = "as probe.sampled is likelihood"
    if config["scoring"] not in OF_BEGINNINGS:
        yield Problem("scoring", f"{config['scoring']!r}", f"{' or '.join(OF_BEGINNINGS)}, {why}")
    if config["probe"]["repetition_penalty"] != 1:
        yield Problem("probe.repetition_penalty", f"{config['probe']['repetition_penalty']}", f"1, {why}")
    for i, table in enumerate(config["tables"]["show"]):
        if table in NEED_DRAWS:
            yield Problem(f"tables.show[{i}]", f"{table!r}, which is made from draws", f"tables without it, {why}")


def _check_graph(config: Config) -> Iterator[Problem]:
    """Runs form a tree from the origin, and select by states that are there before them, by categories of these."""
    table = runs(config)
    for name, what in ((ORIGIN, "the untouched model"), ("base", "the folder of the base model")):
        if name in table:
            yield Problem(f"runs.{name}", f"a run named {name!r}", f"another name: it is {what}")
    known = [ORIGIN, *(name for name in table if name != ORIGIN)]
    for name, run in table.items():
        wanted = [(f"runs.{name}.from", run.parent)]
        wanted += [(f"runs.{name}.select.{state}", state) for state in run.select]
        if run.replay and run.replay["state"] != run.parent:
            wanted += [(f"runs.{name}.replay.state", run.replay["state"])]
        for key, state in wanted:
            if state not in known:
                yield Problem(key, f"there is no state {state!r}", _near(state, (k for k in known if k != name)))
        if run.size_of is not None and run.size_of not in table:
            problem = f"there is no run {run.size_of!r}"
            yield Problem(
                f"runs.{name}.size_of", problem, _near(run.size_of, (other for other in table if other != name))
            )
        yield from _check_categories(config, run)
    graph = {name: sorted(_before(run) & set(table)) for name, run in table.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        needed = error.args[1][::-1]
        problem = f"{' needs '.join(needed)}: a cycle"
        yield Problem(f"runs.{needed[0]}", problem, "states that exist before the run")
        return
    if all(run.parent in known for run in table.values()):
        yield from _check_continued(table)


def _check_categories(config: Config, run: Run) -> Iterator[Problem]:
    wanted = [(f"select.{state}[{i}]", state, c) for state, listed in run.select.items() for i, c in enumerate(listed)]
    if run.replay:
        wanted.append(("replay.category", run.replay["state"], run.replay["category"]))
    for key, state, category in wanted:
        mode = probe_mode(config, state)
        there = FULL if mode == "full" else GREEDY_ONLY
        if category not in there:
            why = "" if state == ORIGIN else f", as probe.trained_states is {mode}"
            yield Problem(f"runs.{run.name}.{key}", f"{category!r} in state {state!r}", f"{' or '.join(there)}{why}")


def _check_continued(table: Mapping[str, Run]) -> Iterator[Problem]:
    """A continued adapter keeps its shape; another one would be silently ignored."""
    for name, run in table.items():
        chain = adapter_chain(table, run.parent)
        if run.settings["adapter"] == "merge" or not chain:
            continue
        for key in ADAPTER_SHAPE:
            mine, there = run.settings[key], table[chain[-1]].settings[key]
            if mine != there:
                expected = f"{there!r}, as in the adapter of {chain[-1]} that it continues, or adapter: merge"
                yield Problem(f"runs.{name}.{key}", f"{mine!r}", expected)


def _check_tables(config: Config) -> Iterator[Problem]:
    """The tables tell of runs that there are; whether a shown table has what it needs, the tables say themselves."""
    named = config["tables"]
    wanted = [(key, named[key]) for key in ("one_stage", "two_stage")]
    lists = {key: named[key] for key in ("longer", "strategies", "rounds", "replay")}
    lists |= {f"controls.{stage}": listed for stage, listed in named["controls"].items()}
    wanted += [(f"{key}[{i}]", name) for key, listed in lists.items() for i, name in enumerate(listed)]
    for key, name in wanted:
        if name not in config["runs"]:
            yield Problem(f"tables.{key}", f"there is no run {name!r}", _near(name, config["runs"]))


def _check_choice(config: Config) -> Iterator[Problem]:
    splits = config["evaluation"]["splits"]
    if config["choose_on"] not in splits:
        yield Problem("choose_on", f"{config['choose_on']!r}", f"one of evaluation.splits ({', '.join(splits)})")


# Each check and the sections that must be well-formed for it.
CHECKS: tuple[tuple[tuple[str, ...], Callable[[Config], Iterable[Problem]]], ...] = (
    (("dataset",), _check_dataset),
    (("dataset", "probe", "evaluation"), _check_exemplars),
    (("models",), _check_models),
    (("corpus", "dataset", "models"), _check_corpus),
    (("models", "probe"), _check_format),
    (("probe", "scoring", "tables"), _check_likelihood),
    (("training", "runs"), _check_batches),
    (("training", "runs", "probe"), _check_graph),
    (("training", "runs", "models"), _check_models_runs),
    (("tables", "runs"), _check_tables),
    (("evaluation", "choose_on"), _check_choice),
)
