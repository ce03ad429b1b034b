"""The checks of the sections dataset and corpus that the schema cannot make. Each yields the problems that it finds."""

import math
from collections.abc import Iterator

from gradual.data.augmentation_forms import KINDS
from gradual.data.dataset import NAMED_COLUMNS, OWN_FORMAT, READERS
from gradual.data.wording_templates import WORDINGS
from gradual.study.config_problems import Problem, nearest
from gradual.study.runs import Config

# What says whose answers change, in dataset.revisions: the keys that each way needs, and the defaults of those without use.
WAYS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "facts": (("count",), {"own": None, "conflicting": None, "columns": {}}),
    "domains": (("own", "conflicting"), {"count": None, "kept": 0, "relations": None, "columns": {}}),
    "file": ((), {"count": None, "own": None, "conflicting": None, "band": "quartile"}),
}
WITH_TEMPLATES = ("world", "entity_questions")  # the readers of datasets that wording_templates.csv has templates of


def check_dataset(config: Config) -> Iterator[Problem]:
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


def check_revisions(config: Config) -> Iterator[Problem]:
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


def check_wordings(config: Config) -> Iterator[Problem]:
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


def check_reworded(config: Config) -> Iterator[Problem]:
    """Documents can ask in other wordings only if there are some. Those of tests alone are in no rewritten question."""
    wordings = config["dataset"]["wordings"] or {"train": [], "augment": [], "test": []}
    for key, uses in (("reworded", ("train", "augment", "test")), ("rewrite", ("train", "augment"))):
        if config["corpus"][key] and not any({*wordings[use]} - {0} for use in uses):
            expected = f"0, or other wordings in dataset.wordings ({', '.join(uses)})"
            yield Problem(f"corpus.{key}", f"{config['corpus'][key]}", expected)


def check_support(config: Config) -> Iterator[Problem]:
    """Documents that teach to augment are about support facts, as far as the config tells whether there are any."""
    corpus, dataset = config["corpus"], config["dataset"]
    for kind in KINDS:
        if corpus[kind] and dataset["reader"] in OWN_FORMAT and "support" not in dataset["carve"]:
            yield Problem(f"corpus.{kind}", f"{corpus[kind]}", "0, or a share dataset.carve.support")


def check_exemplars(config: Config) -> Iterator[Problem]:
    dataset = config["dataset"]
    if dataset["reader"] not in OWN_FORMAT or "support" in dataset["carve"]:
        return
    for section in ("probe", "evaluation"):
        if config[section]["exemplar_split"] == "support":
            yield Problem(
                f"{section}.exemplar_split", "'support'", "a split of the dataset, or a share dataset.carve.support"
            )


def check_corpus(config: Config) -> Iterator[Problem]:
    corpus = config["corpus"]
    pretrained = any(model["source"] == "pretrain" for model in config["models"].values())
    if pretrained and corpus["questions"] and not corpus["asked"] and "support" not in config["dataset"]["carve"]:
        yield Problem(
            "corpus.asked", "0", "facts that question documents may ask about, or a share dataset.carve.support"
        )
