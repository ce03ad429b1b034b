"""The runs of a study. Each run is a state of the model, which starts from another state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradual.ground.settings import pick
from gradual.knowledge.epoch_choice import LAST
from gradual.training.augment_settings import Augment, Keep
from gradual.training.settings import PreferenceSettings, SampleSettings, TrainingSettings

ORIGIN = "origin"  # the untouched model
CONTINUE, MERGE, COMPOSE = "continue", "merge", "compose"  # what a run does with the adapters before its own
GOLD, DRAWN, REVISION = "gold", "drawn", "revision"  # the answers that a run trains on
LATEST = "latest"  # of the revisions of a fact
STEPS_OF, TOKENS_OF = REPEATS = (
    "steps_of",
    "tokens_of",
)  # keys of a run that repeats its examples; each names another run

Config = dict[str, Any]


@dataclass(frozen=True)
class Replay:
    """The replay pool of a run. Each epoch draws the share `ratio` of it.

    It has the facts of a category in a state, or the facts with some roles (`facts`; see `data.revisions`).
    """

    ratio: float
    state: str | None = None
    category: str | None = None
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preference:
    """The settings of a run with the objective `preference`: how its parent is sampled, and the loss on the samples."""

    sampling: SampleSettings
    loss: PreferenceSettings


@dataclass(frozen=True)
class Run:
    """A state of the model: trained from its parent on the facts with the selected categories, or with some roles.

    `kind` says how the state is made (see `steps.STATE_KINDS`). `select` maps states to categories. `size_of` names
    another run, and this run draws as many train facts as that run has. Instead of `select`, `facts` has the roles of the
    facts to train on (see `data.revisions`), and `domain` the domain in which they have these roles. `answers` are those
    that the run trains on (see `steps.EXAMPLE_RULES`). With REVISION, they are valid at the revision `revision`, and None
    stands for the latest. `adapter` says whether the run continues its parent's adapter, or trains a new one: on its parent
    (MERGE), or on the weighted sum of the adapters before it (COMPOSE). `sharpness` is that of the sum's weights. `scale`
    is a factor of what the training changes. `last` says that the last epoch is taken, and not the one with the best
    accuracy. `preference` is None unless that is the run's objective. With `augment`, the run also trains on augmented
    questions. `steps_of` names another run, and this run repeats its examples until it has as many rows to train on, and so
    as many steps. `tokens_of` is the same with as many tokens.
    """

    name: str
    label: str
    kind: str
    parent: str
    select: Mapping[str, list[str]]
    facts: tuple[str, ...]
    domain: str
    size_of: str | None
    replay: Replay | None
    answers: str
    revision: int | None
    adapter: str
    sharpness: float | None
    scale: float
    last: bool
    augment: Augment | None
    steps_of: str | None
    tokens_of: str | None
    training: TrainingSettings
    preference: Preference | None = None


Runs = Mapping[str, Run]


def runs(config: Config) -> dict[str, Run]:
    """The runs of a config that has been loaded, by name."""
    table = {}
    for name, given in config["runs"].items():
        answers, settings = given.get("answers", GOLD), config["training"] | given
        revised = isinstance(answers, Mapping)
        revision = answers[REVISION] if revised else None
        preferred = settings.get("preference")
        table[name] = Run(
            name=name,
            label=given.get("label") or name,
            kind=given.get("kind", "trained"),
            parent=given["from"],
            select=given.get("select") or {},
            facts=tuple(given.get("facts") or ()),
            domain=given.get("domain") or "",
            size_of=given.get("size_of"),
            replay=_replay(given),
            answers=REVISION if revised else answers,
            revision=None if revision == LATEST else revision,
            adapter=settings["adapter"],
            sharpness=(given.get("compose") or {}).get("sharpness"),
            scale=given.get("scale", 1.0),
            last=config["choose_on"] == LAST,
            augment=_augment(given),
            steps_of=given.get(STEPS_OF),
            tokens_of=given.get(TOKENS_OF),
            training=pick(TrainingSettings, settings),
            preference=Preference(pick(SampleSettings, preferred), pick(PreferenceSettings, preferred))
            if preferred
            else None,
        )
    return table


def _replay(given: Mapping[str, Any]) -> Replay | None:
    """The replay of a run, from the run's keys."""
    if not (replay := given.get("replay")):
        return None
    if roles := replay.get("facts"):
        return Replay(replay["ratio"], facts=tuple(roles))
    return Replay(replay["ratio"], replay.get("state", given["from"]), replay.get("category"))


def _augment(given: Mapping[str, Any]) -> Augment | None:
    """The augmentation of a run, from the run's keys."""
    if not (augment := given.get("augment")):
        return None
    return Augment(tuple(augment["ways"]), augment["source"], Keep(**augment["keep"] or {}))


def selected_states(run: Run) -> list[str]:
    """The states by whose categories a run selects and replays facts, in alphabetical order."""
    replayed = run.replay.state if run.replay else None
    return sorted({*run.select, *([replayed] if replayed else [])})


def awaited(run: Run) -> set[str]:
    """The runs that a run needs."""
    others = [other for other in (run.size_of, run.steps_of, run.tokens_of) if other]
    return {run.parent, *selected_states(run), *others} - {ORIGIN}


def composed(run: Run, table: Runs) -> list[str]:
    """The states whose adapters a run adds up, in order: all that lead to it. None if the run does not compose."""
    found: list[str] = []
    state = run.parent
    while run.adapter == COMPOSE and state != ORIGIN:
        found.insert(0, state)
        state = table[state].parent
    return found


def runs_of(config: Config, model: str) -> list[str]:
    """The runs of a model, in the config's order: all unless the model names its own."""
    named = config["models"][model]["runs"]
    return [name for name in config["runs"] if named is None or name in named]


def probe_mode(config: Config, state: str, probe: int = 0) -> str:
    """How a state is probed: "full" (with sampled answers) or "greedy". A re-probe (probe 1) is greedy."""
    if probe:
        return "greedy"
    return "full" if state == ORIGIN else config["probe"]["trained_states"]
