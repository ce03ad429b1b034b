"""What the scripts that ask a state have in common: the options that name the state and say how it answers."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from gradual.ground.settings import parser as settings
from gradual.models.adapters import adapter_folder
from gradual.models.loading import load_tokenizer
from gradual.probe.answers import Decoding, Engine
from gradual.probe.engines.load import ENGINES, add_deployment, deployment, load_engine
from gradual.probe.prompts import PromptFormat, prompt_format
from gradual.probe.settings import AnswerSettings


def add_asking(parser: ArgumentParser) -> None:
    """The options of such a script: its model and adapters, how these are asked, and where the engine runs."""
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument(
        "--adapters", type=Path, nargs="*", default=[], help="handles of the state's adapters, merged in this order"
    )
    parser.add_argument(
        "--settings", type=settings(AnswerSettings), required=True, help="settings of prompts and answers, as JSON"
    )
    parser.add_argument("--engine", choices=list(ENGINES), required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument(
        "--code",
        required=True,
        help="fingerprint of the code; answers that a killed job of other code kept are not taken",
    )
    add_deployment(parser)


def asked_format(args: Namespace) -> PromptFormat:
    """How prompts are written for the model. A wrong tokenizer is refused here, before the weights are loaded."""
    return prompt_format(args.settings.format, args.settings.template_arguments, load_tokenizer(args.base))


def asked_engine(args: Namespace) -> Engine:
    """The engine, with the state."""
    adapters = [adapter_folder(handle) for handle in args.adapters]
    return load_engine(args.engine, args.base, adapters, args.settings.format, args.dtype, deployment(args))


def greedy_decoding(answering: AnswerSettings) -> Decoding:
    """How questions are answered without samples."""
    return Decoding(answering.max_new_tokens, answering.stop, repetition_penalty=answering.repetition_penalty)
