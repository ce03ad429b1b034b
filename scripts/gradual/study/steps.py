"""The graph of a study, which says what each result is made from.

The rules, the order of the jobs, the costs, the plan and the preflight all use this graph.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from gradual.study import result_files as kinds
from gradual.study.result_files import KINDS, Result
from gradual.study.runs import CONTINUE, DRAWN, GOLD, MERGE, ORIGIN, REVISION, Run, Runs, composed, selected_states

Inputs = dict[str, list[Result]]  # by the name that the rule gives the input


@dataclass(frozen=True)
class StateKind:
    """How a state is made: the rule that writes its epochs.json, and the inputs of this rule."""

    rule: str
    inputs: Callable[[Run, Runs], Inputs]


def _trained(run: Run, runs: Runs) -> Inputs:
    """A LoRA training on the run's examples. It continues its parent's adapter, or it trains a new one."""
    parent = adapter_chain(runs, run.parent)[-1:] if run.adapter == CONTINUE else []
    return {
        "base": [Result(kinds.BASE)],
        "examples": [Result(kinds.EXAMPLES, run.name)],
        "samples": [Result(kinds.SAMPLES, run.name)] if run.preference else [],
        "merge": beneath(run, runs),
        "parent": parent,
    }


STATE_KINDS = {"trained": StateKind("train_adapter", _trained)}
# The rule that writes a run's examples, by the answers that the run trains on. Each kind of answers has a rule of its own.
# So a new kind changes neither the code nor the params of the others' jobs, and re-runs none of their trainings.
EXAMPLE_RULES = {GOLD: "build_examples", DRAWN: "draw_answers", REVISION: "revise_examples"}
# The rules of a run that adds to its own examples, or repeats them.
ADDING = ("augment_examples", "match_steps", "match_tokens")


def _example_rule(run: Run) -> str:
    found = dict(zip(ADDING, (run.augment, run.steps_of, run.tokens_of), strict=True))
    return next((rule for rule, given in found.items() if given), EXAMPLE_RULES[run.answers])


class Alternatives(NamedTuple):
    """The rules that can make a kind of result, and which one makes that of a run."""

    rules: tuple[str, ...]
    of: Callable[[Run], str]


def _kept_by(run: Run) -> str:
    """The rule that writes a run's adapter."""
    if not run.last:
        return "choose_epoch"
    return "keep_last_epoch" if run.scale == 1 else "scale_adapter"


ALTERNATIVES = {
    kinds.SELECTION: Alternatives(
        ("select_facts", "select_groups"), lambda run: "select_groups" if run.facts else "select_facts"
    ),
    kinds.EXAMPLES: Alternatives((*EXAMPLE_RULES.values(), *ADDING), _example_rule),
    kinds.EPOCHS: Alternatives(
        tuple(kind.rule for kind in STATE_KINDS.values()), lambda run: STATE_KINDS[run.kind].rule
    ),
    kinds.ADAPTER: Alternatives(("choose_epoch", "keep_last_epoch", "scale_adapter"), _kept_by),
}


def adapter_chain(runs: Runs, state: str) -> list[Result]:
    """The adapters that, applied in order to the base model, give the state; none for the origin.

    A run that continues its parent's adapter takes the adapter's place in the chain. A run that merges follows its parent.
    A run that composes follows one adapter, which is the sum of those before it.
    """
    if state == ORIGIN:
        return []
    run = runs[state]
    if composed(run, runs):
        below = [Result(kinds.COMPOSITION, state)]
    else:
        chain = adapter_chain(runs, run.parent)
        below = chain if run.adapter == MERGE else chain[:-1]
    return [*below, Result(kinds.ADAPTER, state)]


def beneath(run: Run, runs: Runs) -> list[Result]:
    """The adapters that are merged into the weights before a run's own adapter is added."""
    return adapter_chain(runs, run.name)[:-1]


def _asked() -> Inputs:
    """What every job that asks a state needs. It reads no counts of possible answers, but waits for their check."""
    return {kind: [Result(kind)] for kind in (kinds.BASE, kinds.FACTS, kinds.ANSWERABLE)}


def _probed(result: Result, runs: Runs) -> Inputs:
    """The inputs of a probe: the base model, the facts, and the adapters that give the state."""
    return _asked() | {"adapters": adapter_chain(runs, result.state)}


def _sampled(result: Result, runs: Runs) -> Inputs:
    """The inputs of the samples of a run: its examples, and its parent."""
    asked = {kind: [Result(kind)] for kind in (kinds.BASE, kinds.ANSWERABLE)}
    parent = adapter_chain(runs, runs[result.state].parent)
    return asked | {"adapters": parent, "examples": [Result(kinds.EXAMPLES, result.state)]}


def _evaluated(result: Result, runs: Runs) -> Inputs:
    loaded: Inputs = _asked() | {"adapters": [], "epochs": []}
    if result.state != ORIGIN:
        merged = beneath(runs[result.state], runs)
        loaded |= {"adapters": merged, "epochs": [Result(kinds.EPOCHS, result.state)]}
    return loaded


def _graded(result: Result, runs: Runs) -> Inputs:
    """An evaluation and its parent's, because the job refuses an adapter that changes no answer."""
    parent = [] if result.state == ORIGIN else [Result(kinds.EVALUATION, runs[result.state].parent)]
    return {"generations": [Result(kinds.EVALUATION, result.state)], "parent": parent, "facts": [Result(kinds.FACTS)]}


def _groups_asked(result: Result, runs: Runs) -> Inputs:
    """The inputs of a job that asks a state about the groups of facts."""
    return _probed(result, runs) | {"groups": [Result(kinds.GROUPS)]}


def _groups_graded(result: Result, runs: Runs) -> Inputs:
    """The answers of a state and its parent's, because the job refuses an adapter that changes no answer."""
    parent = (
        [] if result.state == ORIGIN else [result._replace(kind=kinds.GROUP_ANSWERS, state=runs[result.state].parent)]
    )
    return {
        "generations": [result._replace(kind=kinds.GROUP_ANSWERS)],
        "parent": parent,
        "facts": [Result(kinds.FACTS)],
        "revisions": [Result(kinds.REVISIONS)],
    }


def _exemplified(result: Result, runs: Runs) -> Inputs:
    """The inputs of a run's examples: its own ones and what is added to them, or else those of its own ones."""
    run, own = runs[result.state], {"own": [result._replace(kind=kinds.OWN_EXAMPLES)]}
    if run.augment:
        return own | {"augmented": [result._replace(kind=kinds.AUGMENTED)]}
    if run.steps_of:
        return own | {"other": [result._replace(state=run.steps_of)]}
    if run.tokens_of:
        return own | {"other": [result._replace(state=run.tokens_of)], "base": [Result(kinds.BASE)]}
    return _exemplified_itself(result, runs)


def _augmented(result: Result, runs: Runs) -> Inputs:
    """The inputs of a run's augmented questions, which the run's parent writes."""
    parent = {"adapters": adapter_chain(runs, runs[result.state].parent)}
    own = {"own": [result._replace(kind=kinds.OWN_EXAMPLES)]}
    return _asked() | parent | own | {kind: [Result(kind)] for kind in (kinds.REVISIONS, kinds.GROUPS)}


def _exemplified_itself(result: Result, runs: Runs) -> Inputs:
    """The inputs of a run's own examples. Only answers of a revision need the revisions, and the groups for whose facts."""
    revised = runs[result.state].answers == REVISION
    others = {kind: [Result(kind)] for kind in (kinds.REVISIONS, kinds.GROUPS)} if revised else {}
    return {"selection": [result._replace(kind=kinds.SELECTION)], "facts": [Result(kinds.FACTS)]} | others


def _trained_by_kind(result: Result, runs: Runs) -> Inputs:
    """The inputs of a run's training, by the kind of its state."""
    run = runs[result.state]
    return STATE_KINDS[run.kind].inputs(run, runs)


def _kept(result: Result, runs: Runs) -> Inputs:
    """The inputs of a run's adapter: its epochs and, where they decide, their accuracies."""
    accuracy = {} if runs[result.state].last else {"accuracy": [result._replace(kind=kinds.ACCURACY)]}
    return accuracy | {"epochs": [result._replace(kind=kinds.EPOCHS)]}


def _composed(result: Result, runs: Runs) -> Inputs:
    """What weighs and adds up the adapters before a run: the questions of all stages, and the weights in earlier sums."""
    before = composed(runs[result.state], runs)
    return {
        "base": [Result(kinds.BASE)],
        "examples": [Result(kinds.EXAMPLES, state) for state in (*before, result.state)],
        "adapters": [Result(kinds.ADAPTER, state) for state in before],
        "compositions": [Result(kinds.COMPOSITION, state) for state in before if composed(runs[state], runs)],
    }


def _selected(result: Result, runs: Runs) -> Inputs:
    run = runs[result.state]
    if run.facts:
        return {"groups": [Result(kinds.GROUPS)]}
    return {
        "categories": [Result(kinds.CATEGORIES, state) for state in selected_states(run)],
        "size_of": [Result(kinds.SELECTION, run.size_of)] if run.size_of else [],
    }


def _of(kind: str) -> Callable[[Result], list[Result]]:
    """A function from a result to the result of another kind with the same state and probe."""
    return lambda result: [result._replace(kind=kind)]


_FACTS: Callable[[Result], list[Result]] = lambda result: [Result(kinds.FACTS)]  # noqa: E731


def _from(**names: Callable[[Result], list[Result]]) -> Callable[[Result, Runs], Inputs]:
    return lambda result, runs: {name: found(result) for name, found in names.items()}


# What the rule of each kind of result reads. A kind that is not here is made together with a kind that is.
GRAPH: dict[str, Callable[[Result, Runs], Inputs]] = {
    kinds.FACTS: _from(),
    kinds.COMMUNITIES: _from(),
    kinds.REVISIONS: _from(facts=_FACTS),
    kinds.GROUPS: _from(facts=_FACTS),
    kinds.WORDINGS: _from(facts=_FACTS),
    kinds.CORPUS: _from(facts=_FACTS, communities=lambda result: [Result(kinds.COMMUNITIES)]),
    kinds.BASE: _from(corpus=lambda result: [Result(kinds.CORPUS)]),  # of a model that is pretrained here
    kinds.ANSWERABLE: _from(base=lambda result: [Result(kinds.BASE)], facts=_FACTS),
    kinds.GENERATIONS: _probed,
    kinds.AGREEMENT: lambda result, runs: (
        _probed(result, runs) | {"generations": [result._replace(kind=kinds.GENERATIONS)]}
    ),
    kinds.PROBE_GRADES: _from(generations=_of(kinds.GENERATIONS), facts=_FACTS),
    kinds.CATEGORIES: _from(grades=_of(kinds.PROBE_GRADES), facts=_FACTS),
    kinds.CHANCE: _from(generations=_of(kinds.GENERATIONS), categories=_of(kinds.CATEGORIES), facts=_FACTS),
    kinds.SELECTION: _selected,
    kinds.EXAMPLES: _exemplified,
    kinds.COMPOSITION: _composed,
    kinds.SAMPLES: _sampled,
    kinds.OWN_EXAMPLES: _exemplified_itself,
    kinds.AUGMENTED: _augmented,
    kinds.AUGMENTED_COUNTS: _augmented,
    kinds.EPOCHS: _trained_by_kind,
    kinds.LOSS: _trained_by_kind,
    kinds.EVALUATION: _evaluated,
    kinds.GRADES: _graded,
    kinds.ACCURACY: _graded,
    kinds.ADAPTER: _kept,
    kinds.CHANGE: lambda result, runs: {"adapters": adapter_chain(runs, result.state)},
    kinds.GROUP_ANSWERS: _groups_asked,
    kinds.GROUP_GRADES: _groups_graded,
}

# The rules that load a model or its tokenizer, each with the environment of its jobs. None stands for the environment of
# the probe's engine.
MODEL_RULES: dict[str, str | None] = {
    "pretrain_base": "train",
    "check_answers": "train",
    "probe_facts": None,
    "check_probe": "train",
    "match_tokens": "train",
    "compose_adapters": "train",
    "sample_answers": None,
    "train_adapter": "train",
    "scale_adapter": "train",
    "evaluate_epochs": None,
    "ask_groups": None,
    "augment_questions": None,
}
ENGINE_ENVIRONMENTS = {"transformers": "train", "vllm": "probe", "vllm_lora": "probe"}


def environment(rule: str, engine: str) -> str:
    """The environment in envs/ that the jobs of a rule need."""
    return MODEL_RULES.get(rule, "controller") or ENGINE_ENVIRONMENTS[engine]


def rules_of(kind: str) -> tuple[str, ...]:
    """The rules that can make a kind of result."""
    return ALTERNATIVES[kind].rules if kind in ALTERNATIVES else (KINDS[kind].rule,)


def rule_of(result: Result, runs: Runs) -> str:
    """The rule that makes a result."""
    if result.kind in ALTERNATIVES:
        return ALTERNATIVES[result.kind].of(runs[result.state])
    return KINDS[result.kind].rule


def inputs(result: Result, runs: Runs) -> Inputs:
    """What the job that makes a result reads."""
    return GRAPH[result.kind](result, runs)


def standing_on(results: Iterable[Result], runs: Runs) -> list[Result]:
    """The results and everything that they are made from. Each result follows its inputs."""
    found: dict[Result, None] = {}

    def add(result: Result) -> None:
        if result not in found:
            for needed in inputs(result, runs).values():
                for other in needed:
                    add(other)
            found[result] = None

    for result in results:
        add(result)
    return list(found)


def longest_chains(results: Iterable[Result], runs: Runs, weight: Callable[[Result], float]) -> Mapping[Result, float]:
    """For each result of a complete graph, the weight of the heaviest chain that begins with it.

    A chain goes from a result to one that is made from it, and ends with a result that nothing is made from.
    """
    known = list(results)
    waiting: dict[Result, list[Result]] = {result: [] for result in known}
    for result in known:
        for needed in inputs(result, runs).values():
            for other in needed:
                waiting[other].append(result)

    @cache
    def longest(result: Result) -> float:
        return weight(result) + max((longest(other) for other in waiting[result]), default=0)

    return {result: longest(result) for result in known}
