"""The checks of a config that its schema cannot make. Each check yields the problems that it finds."""

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from gradual.data.augmentation_forms import KINDS, PARAPHRASE
from gradual.data.dataset import NAMED_COLUMNS, OWN_FORMAT, READERS
from gradual.data.wording_templates import WORDINGS
from gradual.knowledge.categories import FULL, GREEDY_ONLY
from gradual.knowledge.epoch_choice import LAST
from gradual.study.config_texts import PATH, path_problem
from gradual.study.runs import (
    COMPOSE,
    CONTINUE,
    ORIGIN,
    REVISION,
    Config,
    Run,
    awaited,
    composed,
    probe_mode,
    runs,
)
from gradual.study.steps import adapter_chain
from gradual.training.augment_settings import TEMPLATES, Augment

TAKEN = {"reference": "published tables", "benchmarks": "measurements of `make benchmark`"}  # folders of results/
# What says whose answers change, in dataset.revisions: the keys that each way needs, and the defaults of those without use.
WAYS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "facts": (("count",), {"own": None, "conflicting": None, "columns": {}}),
    "domains": (("own", "conflicting"), {"count": None, "kept": 0, "relations": None, "columns": {}}),
    "file": ((), {"count": None, "own": None, "conflicting": None, "band": "quartile"}),
}
WITH_TEMPLATES = ("world", "entity_questions")  # the readers of datasets that wording_templates.csv has templates of
ADAPTER_SHAPE = ("rank", "alpha", "dropout", "targets")  # what a continued adapter cannot change


# Arguments of a chat template that say what it writes, which is not for a study to change.
TEMPLATE_OWN = {
    "messages",
    "conversation",
    "chat_template",
    "tokenize",
    "add_generation_prompt",
    "continue_final_message",
}


class Problem(NamedTuple):
    """A problem with the value of a key (None for the whole config), and what was expected there."""

    key: str | None
    problem: str
    expected: str


def nearest(name: str, known: Iterable[str]) -> str:
    """The expectation in an error about an unknown name: the nearest known name or, without one, all known names."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"a known name (did you mean {near[0]!r}?)"
    return f"one of {', '.join(known)}" if known else "none"


def _check_study(config: Config) -> Iterator[Problem]:
    name = config["study"]
    if name in TAKEN:
        yield Problem("study", f"{name!r}", f"another name, because results/{name}/ has the {TAKEN[name]}")


def _check_dataset(config: Config) -> Iterator[Problem]:
    dataset = config["dataset"]
    reader, carve = dataset["reader"], dataset["carve"]
    if reader == "world":
        for key in ("path", "url"):
            if dataset[key] is not None:
                yield Problem(f"dataset.{key}", f"{dataset[key]!r}", "null, because reader: world reads no files")
        for split in ("test", "dev"):
            if split not in carve:
                problem = "missing (dataset is replaced as a whole, not merged)"
                yield Problem(f"dataset.carve.{split}", problem, "a share, because the world has no such split")
    elif dataset["path"] is None and dataset["url"] is None:
        yield Problem("dataset.path", "neither path nor url", f"the raw files of reader: {reader}")
    for key, readers in (("columns", NAMED_COLUMNS), ("files", [name for name in READERS if name not in OWN_FORMAT])):
        if dataset[key] and reader not in readers:
            problem = f"given, but the files of reader: {reader} have a known form"
            yield Problem(f"dataset.{key}", problem, f"it only with reader: {' or '.join(readers)}")
    if dataset["url"] is not None and dataset["sha256"] is None and dataset["manifest"] is None:
        yield Problem("dataset.sha256", "missing", "the digest of the download or a manifest, because a url is given")
    if dataset["sha256"] is not None and dataset["url"] is None:
        yield Problem("dataset.sha256", f"{dataset['sha256']!r}", "null, because there is no url and so no download")
    if sum(carve.values()) >= 1:
        yield Problem("dataset.carve", f"{carve} leaves no train facts", "shares whose sum is less than 1")


def _check_revisions(config: Config) -> Iterator[Problem]:
    dataset = config["dataset"]
    if (revisions := dataset["revisions"]) is None:
        return
    place = "dataset.revisions"
    ways = [way for way in WAYS if revisions[way]]
    if len(ways) != 1:
        problem = f"{' and '.join(ways)} together" if ways else "nothing says whose answers change"
        yield Problem(place, problem, f"one of {', '.join(WAYS)}")
        return
    [way] = ways
    needed, useless = WAYS[way]
    for key in needed:
        if revisions[key] is None:
            yield Problem(f"{place}.{key}", "missing", f"a number, because {place}.{way} is given")
    for key, default in useless.items():
        if revisions[key] != default:
            yield Problem(f"{place}.{key}", f"{revisions[key]!r}", f"no such key with {place}.{way}")
    listed = [(f"{place}.relations[{i}]", name) for i, name in enumerate(revisions["relations"] or [])]
    owners: dict[str, str] = {}
    for domain, relations in revisions["domains"].items():
        for i, name in enumerate(relations):
            key = f"{place}.domains.{domain}[{i}]"
            listed.append((key, name))
            if owners.setdefault(name, domain) != domain:
                yield Problem(key, f"{name!r} is also of the domain {owners[name]}", "a relation in one domain")
    for key, name in listed:
        if dataset["relations"] and name not in dataset["relations"]:
            problem = f"{name!r} is not in dataset.relations"
            yield Problem(key, problem, nearest(name, dataset["relations"]))
    own, conflicting = revisions["own"], revisions["conflicting"]
    if own and conflicting and conflicting > own:
        yield Problem(f"{place}.conflicting", f"{conflicting}", f"at most {place}.own ({own})")
    wanted = (revisions["facts"] or 0) + (own or 0) * len(revisions["domains"])
    wanted += revisions["kept"] + revisions["unrelated"]
    most = dataset["max_facts"].get("train", math.inf)
    if wanted > most:
        yield Problem(place, f"{wanted} facts in its groups", f"at most dataset.max_facts.train ({most})")


def _check_wordings(config: Config) -> Iterator[Problem]:
    dataset, place = config["dataset"], "dataset.wordings"
    if (wordings := dataset["wordings"]) is None:
        return
    reader, columns = dataset["reader"], wordings["columns"]
    if columns and reader not in NAMED_COLUMNS:
        problem = f"given, but the files of reader: {reader} have a known form"
        yield Problem(f"{place}.columns", problem, f"it only with reader: {' or '.join(NAMED_COLUMNS)}")
    elif not columns and reader not in WITH_TEMPLATES:
        expected = f"the columns of the wordings, or reader: {' or '.join(WITH_TEMPLATES)}, which has templates"
        yield Problem(f"{place}.columns", "missing", expected)
    most = len(columns) if columns else WORDINGS - 1
    uses: dict[int, str] = {}
    for use in ("train", "augment", "test"):
        for i, number in enumerate(wordings[use]):
            if number > most:
                yield Problem(f"{place}.{use}[{i}]", f"{number}", f"a wording from 0 to {most}")
            elif uses.setdefault(number, use) != use:
                problem = f"{number}, which is also in {place}.{uses[number]}"
                yield Problem(f"{place}.{use}[{i}]", problem, "a wording with one use")


def _check_reworded(config: Config) -> Iterator[Problem]:
    """Documents can ask in other wordings only if there are some. Those of tests alone are in no rewritten question."""
    wordings = config["dataset"]["wordings"] or {"train": [], "augment": [], "test": []}
    for key, uses in (("reworded", ("train", "augment", "test")), ("rewrite", ("train", "augment"))):
        if config["corpus"][key] and not any({*wordings[use]} - {0} for use in uses):
            expected = f"0, or other wordings in dataset.wordings ({', '.join(uses)})"
            yield Problem(f"corpus.{key}", f"{config['corpus'][key]}", expected)


def _check_support(config: Config) -> Iterator[Problem]:
    """Documents that teach to augment are about support facts, as far as the config tells whether there are any."""
    corpus, dataset = config["corpus"], config["dataset"]
    for kind in KINDS:
        if corpus[kind] and dataset["reader"] in OWN_FORMAT and "support" not in dataset["carve"]:
            yield Problem(f"corpus.{kind}", f"{corpus[kind]}", "0, or a share dataset.carve.support")


def _check_paths(config: Config) -> Iterator[Problem]:
    paths = {f"dataset.{key}": config["dataset"][key] for key in ("path", "manifest")}
    paths["dataset.revisions.file"] = (config["dataset"]["revisions"] or {}).get("file")
    for key in ("path", "gguf_file", "file"):
        paths |= {f"models.{name}.{key}": model.get(key) for name, model in config["models"].items()}
    for key, path in paths.items():
        if path is not None and (problem := path_problem(path)):
            yield Problem(key, problem, f"{PATH}, because Snakemake takes such parts for something else")


def _check_exemplars(config: Config) -> Iterator[Problem]:
    dataset = config["dataset"]
    if dataset["reader"] not in OWN_FORMAT or "support" in dataset["carve"]:
        return
    for section in ("probe", "evaluation"):
        if config[section]["exemplar_split"] == "support":
            yield Problem(
                f"{section}.exemplar_split", "'support'", "a split of the dataset, or a share dataset.carve.support"
            )


def _check_corpus(config: Config) -> Iterator[Problem]:
    corpus = config["corpus"]
    pretrained = any(model["source"] == "pretrain" for model in config["models"].values())
    if pretrained and corpus["questions"] and not corpus["asked"] and "support" not in config["dataset"]["carve"]:
        yield Problem(
            "corpus.asked", "0", "facts that question documents may ask about, or a share dataset.carve.support"
        )


def _check_models(config: Config) -> Iterator[Problem]:
    labels: dict[str, str] = {}
    for name, model in config["models"].items():
        other = labels.setdefault(model["label"], name)
        if other != name:
            problem = f"{model['label']!r}, the label of models.{other}"
            yield Problem(f"models.{name}.label", problem, "another label, because the tables show only the labels")
        if model["source"] != "pretrain":
            continue
        size, heads, groups = model["hidden_size"], model["heads"], model["key_value_heads"]
        if size % (2 * heads):
            yield Problem(f"models.{name}.hidden_size", f"{size}", f"a multiple of 2 x heads ({2 * heads})")
        if heads % groups:
            yield Problem(f"models.{name}.heads", f"{heads}", f"a multiple of key_value_heads ({groups})")


def _check_models_runs(config: Config) -> Iterator[Problem]:
    """If a model names its runs, it also names all runs that these need."""
    table = runs(config)
    for model, settings in config["models"].items():
        for i, name in enumerate(settings["runs"] or []):
            key = f"models.{model}.runs[{i}]"
            if name not in table:
                yield Problem(key, f"there is no run {name!r}", nearest(name, table))
                continue
            for needed in sorted(awaited(table[name]) & set(table) - set(settings["runs"])):
                yield Problem(key, f"{name} needs {needed}", f"{needed} among the runs of the model")


def _check_format(config: Config) -> Iterator[Problem]:
    probe = config["probe"]
    if probe["template_arguments"] and probe["format"] != "chat":
        problem = f"arguments, but the format is {probe['format']!r}"
        yield Problem("probe.template_arguments", problem, "none, or format: chat, because only a template takes them")
    for name in sorted(TEMPLATE_OWN & set(probe["template_arguments"])):
        yield Problem(f"probe.template_arguments.{name}", "an argument that the study sets", "other arguments")
    for name, model in config["models"].items():
        if config["probe"]["format"] == "chat" and model["source"] == "pretrain":
            problem = f"'chat', but models.{name} is pretrained here and has no chat template"
            yield Problem("probe.format", problem, "plain, or models of another source")


def _check_batches(config: Config) -> Iterator[Problem]:
    sections = {"training": config["training"]} | {
        f"runs.{name}": config["training"] | run for name, run in config["runs"].items()
    }
    for section, settings in sections.items():
        batch, micro_batch = settings["batch"], settings["micro_batch"]
        if micro_batch < batch and batch % micro_batch:
            problem = f"a batch of {batch} is not a multiple of {micro_batch}"
            yield Problem(f"{section}.micro_batch", problem, "a divisor of the batch")
            if section == "training":
                return  # the runs inherit the same problem


def _check_objectives(config: Config) -> Iterator[Problem]:
    """The section `preference` is there exactly with this objective, and what would have no effect with it is not."""
    sections = {"training": config["training"]} | {
        f"runs.{name}": config["training"] | run for name, run in config["runs"].items()
    }
    for section, settings in sections.items():
        preferred, own = settings["objective"] == "preference", settings["preference"]
        found = []
        if preferred and own is None:
            found.append(Problem(f"{section}.preference", "missing", "a section, because of objective: preference"))
        elif own is not None and not preferred:
            problem = f"given, but the objective is {settings['objective']}"
            found.append(Problem(f"{section}.preference", problem, "null, or objective: preference"))
        elif preferred and settings["loss_on"] != "answer":
            problem = f"{settings['loss_on']!r} with objective: preference"
            found.append(Problem(f"{section}.loss_on", problem, "answer, because the samples are answers"))
        elif preferred and settings.get("replay") and not own["target"]:
            expected = "true, or no replay, because replayed examples have no samples and would have no loss"
            found.append(Problem(f"{section}.preference.target", "false in a run with replay", expected))
        yield from found
        if found and section == "training":
            return  # the runs inherit the same problem


def _check_graph(config: Config) -> Iterator[Problem]:
    """Runs form a tree from the origin. A run selects by states that exist before it, and by their categories."""
    table = runs(config)
    for name, what in ((ORIGIN, "the untouched model"), ("base", "the folder of the base model")):
        if name in table:
            yield Problem(f"runs.{name}", f"a run named {name!r}", f"another name, because this one is {what}")
    known = [ORIGIN, *(name for name in table if name != ORIGIN)]
    for name, run in table.items():
        wanted = [(f"runs.{name}.from", run.parent)]
        wanted += [(f"runs.{name}.select.{state}", state) for state in run.select]
        if run.replay and run.replay.state and run.replay.state != run.parent:
            wanted += [(f"runs.{name}.replay.state", run.replay.state)]
        for key, state in wanted:
            if state not in known:
                yield Problem(key, f"there is no state {state!r}", nearest(state, (k for k in known if k != name)))
        if run.size_of is not None and run.size_of not in table:
            problem = f"there is no run {run.size_of!r}"
            yield Problem(
                f"runs.{name}.size_of", problem, nearest(run.size_of, (other for other in table if other != name))
            )
        yield from _check_categories(config, run)
    graph = {name: sorted(awaited(run) & set(table)) for name, run in table.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        needed = error.args[1][::-1]
        problem = f"{' needs '.join(needed)}: a cycle"
        yield Problem(f"runs.{needed[0]}", problem, "states that exist before the run")
        return
    if all(run.parent in known for run in table.values()):
        yield from _check_continued(table)
        yield from _check_composed(config, table)


def check_methods(config: Config) -> Iterator[Problem]:
    """Methods train the stages after the first one. This is checked before the methods make runs."""
    stages = len(config["stages"])
    for name, method in config["methods"].items():
        if stages < 2:
            yield Problem(
                f"methods.{name}", "a method, but there is no second stage", "at least two stages, or no method"
            )
        elif (method.get("stages") or 2) > stages:
            yield Problem(f"methods.{name}.stages", f"{method['stages']}", f"at most the number of stages ({stages})")
        if not method.get("forget"):
            continue
        for i, stage in enumerate(config["stages"][1:], 1):
            answers = method.get("answers") or stage["answers"]
            revision = answers.get(REVISION) if isinstance(answers, Mapping) else None
            if not isinstance(revision, int) or revision < 1:
                place, expected = f"stages[{i}].answers", "{revision: n} with a number from 1"
                yield Problem(place, f"{answers!r}, but methods.{name} forgets the answers before", expected)


def _check_groups(config: Config) -> Iterator[Problem]:
    """A run takes its facts from their categories (`select`), or from the groups of dataset.revisions (`facts`)."""
    revisions = config["dataset"]["revisions"]
    domains = revisions["domains"] if revisions else {}
    roles = (["own", "conflicting"] if domains else ["revised"]) + ["kept", "unrelated"]
    for name, run in runs(config).items():
        given, place = config["runs"][name], f"runs.{name}"
        replayed = given.get("replay") or {}
        if "select" not in given and "facts" not in given:
            expected = "this key or facts (a run is replaced as a whole, not merged)"
            yield Problem(f"{place}.select", "missing", expected)
        if "category" not in replayed and "facts" not in replayed and replayed:
            yield Problem(f"{place}.replay.category", "missing", "this key, or facts")
        useless = {"select": run.facts, "size_of": run.facts and run.size_of, "domain": not run.facts}
        for key in (key for key, without_use in useless.items() if without_use and key in given):
            yield Problem(
                f"{place}.{key}", f"{given[key]!r}", f"no such key {'with' if run.facts else 'without'} facts"
            )
        for key in ("category", "state"):
            if "facts" in replayed and key in replayed:
                yield Problem(f"{place}.replay.{key}", f"{replayed[key]!r}", "no such key with replay.facts")
        if "facts" in replayed and not run.facts:
            yield Problem(f"{place}.replay.facts", f"{replayed['facts']!r}", "it only in a run with facts")
        if "category" in replayed and run.facts:
            yield Problem(
                f"{place}.replay.category", f"{replayed['category']!r}", "replay.facts, because the run has facts"
            )
        if run.scale != 1 and not run.last:
            yield Problem(f"{place}.scale", f"{run.scale}", f"it only with choose_on: {LAST}")
        if run.scale == 0:
            yield Problem(f"{place}.scale", "0", "another number, because this one takes away what the run learned")
        if run.answers == REVISION and not run.facts:
            yield Problem(f"{place}.answers", "the answers of a revision", "facts of the groups, which have revisions")
        if not run.facts:
            continue
        if not revisions:
            yield Problem(f"{place}.facts", f"{list(run.facts)}", "dataset.revisions, which makes the groups")
            continue
        listed = [("facts", run.facts), ("replay.facts", run.replay.facts if run.replay else ())]
        for key, i, role in [(key, i, role) for key, named in listed for i, role in enumerate(named)]:
            if role not in roles:
                yield Problem(f"{place}.{key}[{i}]", f"{role!r}", f"a role of the study's groups: {', '.join(roles)}")
        in_domain = {"own", "conflicting"} & {*run.facts}
        if domains and in_domain and run.domain not in domains:
            problem = f"there is no domain {run.domain!r}" if run.domain else "missing"
            yield Problem(f"{place}.domain", problem, nearest(run.domain, domains))
        elif run.domain and not in_domain:
            yield Problem(f"{place}.domain", f"{run.domain!r}", "it only with facts that are own or conflicting")
        most = 1 if domains else revisions["count"]
        if run.answers == REVISION and most is not None and (run.revision or 0) > most:
            yield Problem(f"{place}.answers.revision", f"{run.revision}", f"at most the last revision ({most})")


def _check_augment(config: Config) -> Iterator[Problem]:
    """What a run's augmented questions and repeated examples need."""
    table = runs(config)
    for name, run in table.items():
        place = f"runs.{name}"
        for key in (key for key in ("augment", "steps_of") if getattr(run, key)):
            if run.answers != REVISION:
                yield Problem(f"{place}.{key}", "given, but the answers are of no revision", "answers: {revision: n}")
        if run.augment and run.steps_of:
            yield Problem(f"{place}.steps_of", f"{run.steps_of!r}", "no such key with augment")
        if run.augment:
            yield from _check_ways(config, run.augment, f"{place}.augment")
        if run.steps_of and run.steps_of not in table:
            others = (other for other in table if other != name)
            yield Problem(f"{place}.steps_of", f"there is no run {run.steps_of!r}", nearest(run.steps_of, others))
        elif run.steps_of:
            yield from _check_steps(run, table[run.steps_of])


def _check_ways(config: Config, augment: Augment, place: str) -> Iterator[Problem]:
    corpus, keep = config["corpus"], augment.keep
    if keep.random and keep.information:
        yield Problem(f"{place}.keep.random", f"{keep.random}", "one of random and information")
    if augment.source == TEMPLATES:
        if PARAPHRASE in augment.ways and not (config["dataset"]["wordings"] or {}).get("augment"):
            yield Problem(f"{place}.ways", f"{PARAPHRASE!r} by templates", "wordings in dataset.wordings.augment")
        return
    if config["probe"]["format"] != "plain":
        expected = f"probe.format: plain, or source: {TEMPLATES}"
        yield Problem(f"{place}.source", f"{augment.source!r} with another format", expected)
    pretrained = any(model["source"] == "pretrain" for model in config["models"].values())
    for kind, way in KINDS.items():
        if pretrained and way in augment.ways and not corpus[kind]:
            problem = f"{way!r}, but the corpus of the model does not teach it"
            yield Problem(f"{place}.ways", problem, f"a share corpus.{kind}, or source: {TEMPLATES}")


def _check_steps(run: Run, other: Run) -> Iterator[Problem]:
    """Two runs with as many rows have as many steps if all else that counts is equal."""
    mine, theirs = ((r.training.epochs, r.training.batch, r.replay) for r in (run, other))
    for key, own, wanted in zip(("epochs", "batch", "replay"), mine, theirs, strict=True):
        if own != wanted:
            yield Problem(f"runs.{run.name}.{key}", f"{own!r}", f"{wanted!r}, as in {other.name}, whose steps it has")


def _check_categories(config: Config, run: Run) -> Iterator[Problem]:
    wanted = [(f"select.{state}[{i}]", state, c) for state, listed in run.select.items() for i, c in enumerate(listed)]
    if run.replay and run.replay.category and run.replay.state:
        wanted.append(("replay.category", run.replay.state, run.replay.category))
    for key, state, category in wanted:
        mode = probe_mode(config, state)
        there = FULL if mode == "full" else GREEDY_ONLY
        if category not in there:
            why = "" if state == ORIGIN else f", because probe.trained_states is {mode}"
            yield Problem(f"runs.{run.name}.{key}", f"{category!r} in state {state!r}", f"{' or '.join(there)}{why}")


def _check_continued(table: Mapping[str, Run]) -> Iterator[Problem]:
    """A continued adapter keeps its shape, because another shape would be silently ignored."""
    for name, run in table.items():
        chain = adapter_chain(table, run.parent)
        if run.adapter != CONTINUE or not chain:
            continue
        continued = chain[-1].state
        for key in ADAPTER_SHAPE:
            mine, there = getattr(run.training, key), getattr(table[continued].training, key)
            if mine != there:
                expected = f"{there!r}, as in the adapter of {continued} that it continues, or adapter: merge"
                yield Problem(f"runs.{name}.{key}", f"{mine!r}", expected)


def _check_composed(config: Config, table: Mapping[str, Run]) -> Iterator[Problem]:
    """Adapters are added up if each was trained on the base model or on such a sum, and if they change the same weights."""
    for name, run in table.items():
        place, given = f"runs.{name}", config["runs"][name].get("compose")
        if run.adapter != COMPOSE:
            if given:
                yield Problem(f"{place}.compose", f"{given!r}", f"it only with adapter: {COMPOSE}")
            continue
        if not given:
            yield Problem(f"{place}.compose", "missing", f"this key, because of adapter: {COMPOSE}")
        for state in composed(run, table):
            other = table[state]
            if other.adapter != COMPOSE and other.parent != ORIGIN:
                problem = f"{run.parent!r}, and the adapter of {state} was trained on another state"
                expected = f"a run from {ORIGIN}, or runs with adapter: {COMPOSE} that follow one"
                yield Problem(f"{place}.from", problem, expected)
                break
            if {*other.training.targets} != {*run.training.targets}:
                problem = f"{list(run.training.targets)}, but {state} has {list(other.training.targets)}"
                yield Problem(f"{place}.targets", problem, "the targets of the runs whose adapters it composes")
                break


def _check_tables(config: Config) -> Iterator[Problem]:
    """The runs and methods that the section tables names exist. `tables.registry.needs` checks what a shown table needs."""
    named = config["tables"]
    wanted = [(key, named[key]) for key in ("one_stage", "two_stage") if named[key]]
    lists = {key: named[key] for key in ("longer", "strategies", "rounds", "replay")}
    lists |= {f"controls.{stage}": listed for stage, listed in named["controls"].items()}
    wanted += [(f"{key}[{i}]", name) for key, listed in lists.items() for i, name in enumerate(listed)]
    for key, name in wanted:
        if name not in config["runs"]:
            yield Problem(f"tables.{key}", f"there is no run {name!r}", nearest(name, config["runs"]))
    for role, name in named["methods"].items():
        if name is not None and name not in config["methods"]:
            place = f"tables.methods.{role}"
            yield Problem(place, f"there is no method {name!r}", nearest(name, config["methods"]))


def _check_choice(config: Config) -> Iterator[Problem]:
    splits = config["evaluation"]["splits"]
    if config["choose_on"] not in (*splits, LAST):
        yield Problem("choose_on", f"{config['choose_on']!r}", f"one of evaluation.splits ({', '.join(splits)})")


# Each check, and the sections that must be without a problem before it runs.
CHECKS: tuple[tuple[tuple[str, ...], Callable[[Config], Iterable[Problem]]], ...] = (
    (("study",), _check_study),
    (("dataset",), _check_dataset),
    (("dataset",), _check_revisions),
    (("dataset",), _check_wordings),
    (("dataset", "corpus"), _check_reworded),
    (("dataset", "corpus"), _check_support),
    (("dataset", "probe", "evaluation"), _check_exemplars),
    (("dataset", "models"), _check_paths),
    (("models",), _check_models),
    (("corpus", "dataset", "models"), _check_corpus),
    (("models", "probe"), _check_format),
    (("training", "runs"), _check_batches),
    (("training", "stages", "methods", "runs"), _check_objectives),
    (("dataset", "training", "stages", "methods", "runs"), _check_groups),
    (("corpus", "dataset", "models", "probe", "training", "stages", "methods", "runs"), _check_augment),
    (("training", "stages", "methods", "runs", "probe"), _check_graph),
    (("training", "stages", "methods", "runs", "models"), _check_models_runs),
    (("tables", "stages", "methods", "runs"), _check_tables),
    (("evaluation", "choose_on"), _check_choice),
)
