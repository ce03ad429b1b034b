"""The Snakefile, and the commands of all its rules as JSON lines, for every model, run and table, without a job graph."""

from itertools import product
from types import SimpleNamespace

import re

from snakemake.io import is_callable
from snakemake.iocontainers import Wildcards
from snakemake.utils import format as filled


include: "Snakefile"


PLACES = {"seed": SEEDS[-1:], "model": MODELS, "state": RUNS, "table": TABLES_SHOWN, "questions": ["train"]}
RESOURCES = SimpleNamespace(python="python", gpu=0, gpu_memory_percent=90, max_model_length=0)


def commands(rule):
    """The command of a rule in each place that its wildcards allow."""
    names = sorted(rule.wildcard_names)
    for values in product(*(PLACES.get(name, [0]) for name in names)):
        place = {name: str(value) for name, value in zip(names, values)}
        if all(re.fullmatch(str(rule.wildcard_constraints.get(name, ".*")), place[name]) for name in names):
            inputs, outputs = rule.expand_input(place)[0], rule.expand_output(place)[0]
            params = rule.expand_params(place, inputs, outputs, None)[0]
            wildcards, log = Wildcards(fromdict=place), rule.expand_log(place)
            yield filled(rule.shellcmd, input=inputs, output=outputs, params=params, wildcards=wildcards, log=log, resources=RESOURCES)


with open("commands.jsonl", "w") as file:
    for rule in workflow.rules:
        if rule.shellcmd:
            constant = [item for item in rule.params if not callable(item)]
            paths = [str(item) for part in (rule.input, rule.output, rule.log) for item in part if not is_callable(item)]
            said = {"rule": rule.name, "constant": constant, "paths": paths, "commands": [*commands(rule)]}
            file.write(json.dumps(said) + "\n")
