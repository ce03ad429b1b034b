"""Weigh the adapters of the stages before a run, and write their weighted sum as one adapter, which the run trains upon.

The state of a run is this sum and, with a weight of its own, the run's adapter. Its own weight is in the training too, as
in MoCL: what is trained is the weighted adapter as a whole. So a later run divides it by this weight before it gives it
another one.
"""

import argparse
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from gradual.ground.settings import add_paths
from gradual.knowledge.selection_roles import TRAIN
from gradual.models.adapters import adapter_folder, write_chosen
from gradual.models.composition import composed_adapter, read_weights
from gradual.models.loading import load_model, load_tokenizer
from gradual.training.examples import read_examples
from gradual.training.stage_matching import queries, stage_weights
from gradual.workflow.starting import on_gpus

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument("--states", nargs="+", required=True, help="the states before the run, in order, and the run")
    parser.add_argument("--examples", type=Path, nargs="+", required=True, help="the examples of these states")
    parser.add_argument(
        "--adapters", type=Path, nargs="+", required=True, help="handles of the adapters before the run"
    )
    parser.add_argument(
        "--compositions",
        type=Path,
        nargs="*",
        default=[],
        help="handles of what those of them trained upon that compose",
    )
    parser.add_argument("--sharpness", type=float, required=True)
    parser.add_argument("--dtype", required=True)
    add_paths(parser, "composition")
    parser.add_argument("--gpus", type=int, default=0, help="number of GPUs of the job")
    args = parser.parse_args(argv)
    compose_adapters(args)


def compose_adapters(args: argparse.Namespace) -> None:
    """Weigh the stages by their questions, and write the sum of the adapters before the run."""
    examples = [read_examples(file) for file in args.examples]
    tokenizer, model = load_tokenizer(args.base), load_model(args.base, [], args.dtype)
    found = {
        state: queries(model, tokenizer, rows.loc[rows["role"] == TRAIN, "question"].tolist())
        for state, rows in zip(args.states, examples, strict=True)
    }
    weights = stage_weights(found, args.sharpness)
    log.info("weights of the stages: %s", weights)
    trained = [read_weights(handle) for handle in args.compositions]
    own = {state: given[state] for given in trained for state in [[*given][-1]]}
    factors = [weights[state] / own.get(state, 1.0) for state in args.states[:-1]]
    with TemporaryDirectory() as folder:
        composed_adapter([adapter_folder(handle) for handle in args.adapters], factors, Path(folder))
        write_chosen(args.composition, Path(folder), {"weights": weights})


if __name__ == "__main__":
    on_gpus(main)
