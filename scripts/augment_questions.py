"""Let the parent state of a run write augmented questions of the run's examples, or let templates write them."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from gradual.data.augmentation_forms import TITLES
from gradual.data.facts import read_facts
from gradual.data.question_wordings import WORDING_COLUMNS, read_wordings
from gradual.data.revisions import read_groups, read_revisions
from gradual.ground.files import write_csv, write_json, write_parquet
from gradual.ground.normal_form import folded
from gradual.ground.seeding import seeded
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as settings
from gradual.knowledge.selection_roles import TRAIN
from gradual.models.adapters import adapter_folder
from gradual.models.loading import load_tokenizer
from gradual.probe.answers import GREEDY_ANSWERS, Answer, Decoding, Engine, Prompt, Usage
from gradual.probe.augmentation_prompts import WRITING, augmentation_prompt
from gradual.probe.engines.load import ENGINES, add_deployment, deployment, load_engine
from gradual.probe.prompts import ExemplarPool, PromptSettings, exemplars_of, prompt_format
from gradual.probe.settings import AnswerSettings
from gradual.training.augment_settings import MODEL, SOURCES
from gradual.training.augmentation import AUGMENTED_COLUMNS, GATED, count, earlier_answers, flag, gate, judge, to_write
from gradual.training.augmentation_templates import write_by_templates
from gradual.training.examples import read_examples
from gradual.workflow.starting import on_gpus

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument(
        "--adapters", type=Path, nargs="*", default=[], help="handles of the parent's adapters, merged in this order"
    )
    add_paths(parser, "own", "facts", "revisions", "groups", "augmented", "counts", "usage")
    parser.add_argument("--wordings", type=Path, nargs="*", default=[])
    parser.add_argument("--reworded", type=int, nargs="*", default=[], help="the wordings for augmentation")
    parser.add_argument("--tested", type=int, nargs="*", default=[], help="the wordings for tests alone")
    parser.add_argument("--ways", nargs="+", choices=list(TITLES), required=True)
    parser.add_argument("--source", choices=SOURCES, required=True)
    parser.add_argument("--taught", action="store_true", help="the model is pretrained on documents of these ways")
    parser.add_argument("--agreement", action="store_true", help="ask the parent the questions and the augmented ones")
    parser.add_argument("--revision", type=int, nargs="*", default=[], help="of the run; without a number, the latest")
    parser.add_argument(
        "--settings", type=settings(AnswerSettings), required=True, help="settings of prompts and answers, as JSON"
    )
    parser.add_argument("--engine", choices=list(ENGINES), required=True)
    parser.add_argument("--prompt-seed", type=int, required=True, help="seed of the prompts, the same for all states")
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--seed", type=int, required=True)
    add_deployment(parser)
    args = parser.parse_args(argv)
    augment(args)


def augment(args: argparse.Namespace) -> None:
    """Write the augmented questions. A way whose augmentations of support facts fail the gate is made by templates."""
    facts, own = read_facts(args.facts), read_examples(args.own)
    own = own[own["role"] == TRAIN].reset_index(drop=True)
    subjects = dict(zip(facts["fact_id"], facts["subject"], strict=True))
    grouped, revisions = read_groups(args.groups)["fact_id"].tolist(), read_revisions(args.revisions)
    wordings = read_wordings(args.wordings[0]) if args.wordings else pd.DataFrame(columns=list(WORDING_COLUMNS))
    engine = None
    if args.source == MODEL or args.agreement:
        adapters = [adapter_folder(handle) for handle in args.adapters]
        engine = load_engine(args.engine, args.base, adapters, args.settings.format, args.dtype, deployment(args))
    gated = pd.DataFrame(columns=["way", "passed"])
    if engine and args.source == MODEL:
        support = to_write(gate_facts(facts, own, args.seed), args.ways)
        gated = gate(judge(write(engine, support, args.taught), subjects))
        log.info("the gate:\n%s", gated.to_string(index=False))
    rows = to_write(own, args.ways)
    passed = rows["way"].isin(gated.loc[gated["passed"].astype(bool), "way"])
    if engine and args.source == MODEL and not passed.all():
        log.warning("made by templates, because they fail the gate: %s", sorted({*rows.loc[~passed, "way"]}))
    others = wordings[wordings["wording"].isin(args.reworded)]
    parts = [write_by_templates(rows[~passed], facts, grouped, others, args.seed)]
    if engine and passed.any():
        parts.append(write(engine, rows[passed], args.taught))
    written = pd.concat(parts).sort_index()
    tested = wordings[wordings["wording"].isin(args.tested)].groupby("fact_id")["question"].agg(list).to_dict()
    earlier = earlier_answers(revisions, args.revision[0] if args.revision else None)
    answers = own["answer"].repeat(len(args.ways)).tolist()
    found = flag(judge(written, subjects), answers, earlier, tested)
    agrees = agreement(engine, found, facts, args) if engine and args.agreement else None
    found = found.assign(agrees=pd.Series(agrees, index=found.index, dtype="boolean"))[list(AUGMENTED_COLUMNS)]
    counts = count(found, gated)
    log.info("augmented questions:\n%s", counts.to_string(index=False))
    write_json(asdict(engine.usage if engine else Usage()), args.usage)
    write_csv(counts, args.counts)
    write_parquet(found, args.augmented)


def gate_facts(facts: pd.DataFrame, own: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The questions that the gate asks: about support facts with a subject or, without such facts, the run's own ones."""
    support = facts[(facts["split"] == "support") & (facts["subject"] != "")]
    pool = support if len(support) else own.drop_duplicates("fact_id")
    order = sorted(pool.index, key=lambda place: seeded(seed, "gate", pool.loc[place, "fact_id"]))
    return pool.loc[order[:GATED], ["fact_id", "question"]]


def write(engine: Engine, rows: pd.DataFrame, taught: bool) -> pd.DataFrame:
    """The rows (fact_id, question, way) with what the model writes, and whether it came to an end (`whole`)."""
    texts = [augmentation_prompt(row.way, row.question, taught) for row in rows.itertuples()]
    found = ask(engine, rows["fact_id"].tolist(), texts, rows["way"].nunique(), WRITING)
    whole = [answer.finish == "stop" for answer in found]
    return rows.assign(made_by=MODEL, written=[answer.text for answer in found], whole=whole)


def ask(engine: Engine, facts: Sequence[str], texts: Sequence[str], group: int, decoding: Decoding) -> list[Answer]:
    """The greedy answers to prompts, of which each `group` belong together; `facts` has the fact of each prompt."""
    prompts = [Prompt(fact, number % group, text) for number, (fact, text) in enumerate(zip(facts, texts, strict=True))]
    groups = [prompts[start : start + group] for start in range(0, len(prompts), group)]
    return [answered.greedy for answers in engine.answer(groups, decoding, GREEDY_ANSWERS) for answered in answers]


def agreement(engine: Engine, rows: pd.DataFrame, facts: pd.DataFrame, args: argparse.Namespace) -> pd.Series:
    """Whether the parent gives the same greedy answer to an augmented question as to its question; null without one.

    Both have the exemplars that the fact's questions have in the evaluation.
    """
    answering = args.settings
    pool = ExemplarPool(facts, answering.exemplar_split, str(args.facts))
    drawn = PromptSettings(args.prompt_seed, answering.shots, answering.exemplars)
    decoding = Decoding(answering.max_new_tokens, answering.stop, repetition_penalty=answering.repetition_penalty)
    render = prompt_format(answering.format, answering.template_arguments, load_tokenizer(args.base)).prompt
    known, asked = facts.set_index("fact_id", drop=False), rows[rows["parsed"]]
    texts = []
    for row in asked.itertuples():
        shown = exemplars_of(known.loc[row.fact_id], 0, pool, drawn)
        texts += [render(shown, row.question), render(shown, row.augmented)]
    found = ask(engine, asked["fact_id"].repeat(2).tolist(), texts, 2, decoding)
    same = [folded(one.text) == folded(other.text) for one, other in zip(found[::2], found[1::2], strict=True)]
    return pd.Series(same, index=asked.index, dtype="boolean").reindex(rows.index)


if __name__ == "__main__":
    on_gpus(main)
