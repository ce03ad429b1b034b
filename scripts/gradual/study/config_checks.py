"""The checks of a config that its schema cannot make: those of other modules, and those of single keys.

Each check yields the problems that it finds.
"""

from collections.abc import Callable, Iterable, Iterator

from gradual.knowledge.epoch_choice import LAST
from gradual.study import dataset_checks, run_checks
from gradual.study.config_problems import Problem, nearest
from gradual.study.config_texts import PATH, path_problem
from gradual.study.runs import Config

TAKEN = {  # folders of results/
    "reference": "published tables",
    "benchmarks": "measurements of `make benchmark`",
    "gpu": "measurements of `make gpu-visit`",
}
# Arguments of a chat template that say what it writes, which is not for a study to change.
TEMPLATE_OWN = {
    "messages",
    "conversation",
    "chat_template",
    "tokenize",
    "add_generation_prompt",
    "continue_final_message",
}


def _check_study(config: Config) -> Iterator[Problem]:
    name = config["study"]
    if name in TAKEN:
        yield Problem("study", f"{name!r}", f"another name, because results/{name}/ has the {TAKEN[name]}")


def _check_paths(config: Config) -> Iterator[Problem]:
    paths = {f"dataset.{key}": config["dataset"][key] for key in ("path", "manifest")}
    paths["dataset.revisions.file"] = (config["dataset"]["revisions"] or {}).get("file")
    for key in ("path", "gguf_file", "file"):
        paths |= {f"models.{name}.{key}": model.get(key) for name, model in config["models"].items()}
    for key, path in paths.items():
        if path is not None and (problem := path_problem(path)):
            yield Problem(key, problem, f"{PATH}, because Snakemake takes such parts for something else")


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
    (("dataset",), dataset_checks.check_dataset),
    (("dataset",), dataset_checks.check_revisions),
    (("dataset",), dataset_checks.check_wordings),
    (("dataset", "corpus"), dataset_checks.check_reworded),
    (("dataset", "corpus"), dataset_checks.check_support),
    (("dataset", "probe", "evaluation"), dataset_checks.check_exemplars),
    (("dataset", "models"), _check_paths),
    (("models",), _check_models),
    (("corpus", "dataset", "models"), dataset_checks.check_corpus),
    (("models", "probe"), _check_format),
    (("training", "runs"), run_checks.check_batches),
    (("training", "stages", "methods", "runs"), run_checks.check_objectives),
    (("dataset", "training", "stages", "methods", "runs"), run_checks.check_groups),
    (("corpus", "dataset", "models", "probe", "training", "stages", "methods", "runs"), run_checks.check_augment),
    (("training", "stages", "methods", "runs", "probe"), run_checks.check_graph),
    (("training", "stages", "methods", "runs", "models"), run_checks.check_models_runs),
    (("stages", "methods", "runs"), run_checks.check_labels),
    (("tables", "stages", "methods", "runs"), _check_tables),
    (("evaluation", "choose_on"), _check_choice),
)
