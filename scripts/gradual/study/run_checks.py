"""The checks of runs, stages and methods that the schema cannot make. Each check yields the problems that it finds."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from gradual.data.augmentation_forms import KINDS, PARAPHRASE
from gradual.knowledge.categories import FULL, GREEDY_ONLY
from gradual.knowledge.epoch_choice import LAST
from gradual.study.config_problems import Problem, nearest
from gradual.study.methods import OWN, made_runs
from gradual.study.runs import (
    COMPOSE,
    CONTINUE,
    ORIGIN,
    REPEATS,
    REVISION,
    STEPS_OF,
    TOKENS_OF,
    Config,
    Run,
    awaited,
    composed,
    probe_mode,
    runs,
)
from gradual.study.steps import adapter_chain
from gradual.training.augment_settings import TEMPLATES, Augment

ADAPTER_SHAPE = ("rank", "alpha", "dropout", "targets")  # what a continued adapter cannot change


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
            if stage["facts"] == [OWN]:
                problem = f"{stage['facts']}, but methods.{name} forgets the answers before"
                yield Problem(f"stages[{i}].facts", problem, "also facts whose answers change")
            answers = method.get("answers") or stage["answers"]
            revision = answers.get(REVISION) if isinstance(answers, Mapping) else None
            if not isinstance(revision, int) or revision < 1:
                place, expected = f"stages[{i}].answers", "{revision: n} with a number from 1"
                yield Problem(place, f"{answers!r}, but methods.{name} forgets the answers before", expected)


def check_labels(config: Config) -> Iterator[Problem]:
    """Methods and the config's own runs have different names in tables and figures."""
    made = {run.name for run in made_runs(config)}
    named = {f"methods.{key}": method.get("label") or key for key, method in config["methods"].items()}
    named |= {f"runs.{key}": run["label"] or key for key, run in config["runs"].items() if key not in made}
    first: dict[str, str] = {}
    for place, label in named.items():
        if (other := first.setdefault(label, place)) != place:
            expected = "another label, because tables and figures show only the labels"
            yield Problem(f"{place}.label", f"{label!r}, the name of {other}", expected)


def check_models_runs(config: Config) -> Iterator[Problem]:
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


def check_batches(config: Config) -> Iterator[Problem]:
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


def check_objectives(config: Config) -> Iterator[Problem]:
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
        elif preferred and own["bound"] == "none" and own["b"] != 1:
            problem = f"{own['b']} with bound: none, where it has no effect"
            found.append(Problem(f"{section}.preference.b", problem, "no b, or bound: npo"))
        elif preferred and not (own["target"] or own["alpha"] or own["beta"]):
            problem = "false, and alpha and beta are 0, so there is no loss"
            found.append(Problem(f"{section}.preference.target", problem, "true, or an alpha or a beta above 0"))
        yield from found
        if found and section == "training":
            return  # the runs inherit the same problem


def check_graph(config: Config) -> Iterator[Problem]:
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


def check_groups(config: Config) -> Iterator[Problem]:
    """A run takes its facts from their categories (`select`), or from the groups of dataset.revisions (`facts`)."""
    revisions = config["dataset"]["revisions"]
    domains = revisions["domains"] if revisions else {}
    roles = (["own", "conflicting"] if domains else ["revised"]) + ["kept", "unrelated"]
    of_stages = {made.name for made in made_runs(config)}
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
        joint = run.answers == REVISION and run.revision is None and not run.domain and name not in of_stages
        if domains and in_domain and run.domain not in domains and not joint:
            problem = f"there is no domain {run.domain!r}" if run.domain else "missing"
            yield Problem(f"{place}.domain", problem, nearest(run.domain, domains))
        elif run.domain and not in_domain:
            yield Problem(f"{place}.domain", f"{run.domain!r}", "it only with facts that are own or conflicting")
        most = 1 if domains else revisions["count"]
        if run.answers == REVISION and most is not None and (run.revision or 0) > most:
            yield Problem(f"{place}.answers.revision", f"{run.revision}", f"at most the last revision ({most})")


def check_augment(config: Config) -> Iterator[Problem]:
    """What a run's augmented questions and repeated examples need."""
    table = runs(config)
    for name, run in table.items():
        place = f"runs.{name}"
        for key in (key for key in ("augment", *REPEATS) if getattr(run, key)):
            if run.answers != REVISION:
                yield Problem(f"{place}.{key}", "given, but the answers are of no revision", "answers: {revision: n}")
        if run.augment:
            yield from _check_ways(config, run.augment, f"{place}.augment")
        if run.steps_of and run.tokens_of:
            yield Problem(f"{place}.{TOKENS_OF}", f"{run.tokens_of!r}", f"no such key with {STEPS_OF}")
        for key in (key for key in REPEATS if getattr(run, key)):
            other = getattr(run, key)
            if run.augment:
                yield Problem(f"{place}.{key}", f"{other!r}", "no such key with augment")
            if other not in table:
                others = (one for one in table if one != name)
                yield Problem(f"{place}.{key}", f"there is no run {other!r}", nearest(other, others))
            else:
                yield from _check_budget(run, table[other])


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


def _check_budget(run: Run, other: Run) -> Iterator[Problem]:
    """Two runs with as many rows, or tokens, in an epoch have them in all epochs if all else that counts is equal."""
    mine, theirs = ((r.training.epochs, r.training.batch, r.replay) for r in (run, other))
    for key, own, wanted in zip(("epochs", "batch", "replay"), mine, theirs, strict=True):
        if own != wanted:
            yield Problem(f"runs.{run.name}.{key}", f"{own!r}", f"{wanted!r}, as in {other.name}, whose budget it has")


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
