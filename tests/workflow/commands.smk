# The Snakefile, and the commands of all its rules in commands.jsonl: for every model, run and table, without a job graph.

import re
from itertools import product

from snakemake.io import is_callable
from snakemake.iocontainers import Wildcards
from snakemake.utils import format as filled


include: "Snakefile"


PLACES = {
    "seed": SEEDS[-1:],
    "model": MODELS,
    "state": RUNS,
    "table": TABLES_SHOWN,
    "figure": FIGURES,
    "questions": ["train"],
}


def commands(rule):
    """The command of a rule and its inputs, in each place that its wildcards allow."""
    names = sorted(rule.wildcard_names)
    for values in product(*(PLACES.get(name, [0]) for name in names)):
        place = {name: str(value) for name, value in zip(names, values)}
        if all(re.fullmatch(str(rule.wildcard_constraints.get(name, ".*")), place[name]) for name in names):
            inputs, outputs = rule.expand_input(place)[0], rule.expand_output(place)[0]
            given = {"input": inputs, "output": outputs, "log": rule.expand_log(place)}
            given["resources"] = rule.expand_resources(place, inputs, 1)
            params, _ = rule.expand_params(place, inputs, outputs, None)
            command = filled(rule.shellcmd, params=params, wildcards=Wildcards(fromdict=place), **given)
            yield command, [str(path) for path in inputs]


with open("commands.jsonl", "w") as file:
    for rule in workflow.rules:
        if rule.shellcmd:
            constant = [item for item in rule.params if not callable(item)]
            paths = [str(f) for part in (rule.input, rule.output, rule.log) for f in part if not is_callable(f)]
            made = [*commands(rule)]
            found = {"rule": rule.name, "constant": constant, "paths": paths, "commands": [command for command, _ in made]}
            found["inputs"] = sorted({path for _, inputs in made for path in inputs})
            file.write(json.dumps(found) + "\n")
