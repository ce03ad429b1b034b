"""Let the parent state of a run write augmented questions of the run's examples, or let templates write them.

A job that is killed goes on when it is started again. It keeps what the state has written and answered.
"""

import argparse
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from gradual.data.augmentation_forms import TITLES
from gradual.data.facts import read_facts
from gradual.data.question_wordings import WORDING_COLUMNS, read_wordings
from gradual.data.revisions import read_groups, read_revisions
from gradual.ground.files import digest, read_json, write_atomically, write_csv, write_json, write_parquet
from gradual.ground.normal_form import folded
from gradual.ground.seeding import seeded
from gradual.ground.settings import add_paths
from gradual.knowledge.selection_roles import TRAIN
from gradual.probe.answers import GREEDY_ANSWERS, Answer, Decoding, Engine, Prompt, Usage
from gradual.probe.asking import add_asking, asked_engine, asked_format, greedy_decoding
from gradual.probe.augmentation_prompts import WRITING, augmentation_prompt
from gradual.probe.generations import read_generations
from gradual.probe.prompts import ExemplarPool, PromptSettings, exemplars_of
from gradual.probe.recording import GenerationsFile, append_generations, kept_folder
from gradual.training.augment_settings import MODEL, SOURCES
from gradual.training.augmentation import AUGMENTED_COLUMNS, GATED, count, earlier_answers, flag, gate, judge, to_write
from gradual.training.augmentation_templates import write_by_templates
from gradual.training.examples import read_examples
from gradual.workflow.starting import on_gpus

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_asking(parser)
    add_paths(parser, "own", "facts", "revisions", "groups", "augmented", "counts", "usage")
    parser.add_argument("--wordings", type=Path, nargs="*", default=[])
    parser.add_argument("--reworded", type=int, nargs="*", default=[], help="the wordings for augmentation")
    parser.add_argument("--tested", type=int, nargs="*", default=[], help="the wordings for tests alone")
    parser.add_argument("--ways", nargs="+", choices=list(TITLES), required=True)
    parser.add_argument("--source", choices=SOURCES, required=True)
    parser.add_argument("--taught", action="store_true", help="the model is pretrained on documents of these ways")
    parser.add_argument("--agreement", action="store_true", help="ask the parent the questions and the augmented ones")
    parser.add_argument("--revision", type=int, nargs="*", default=[], help="of the run; without a number, the latest")
    parser.add_argument("--prompt-seed", type=int, required=True, help="seed of the prompts, the same for all states")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)
    augment(args)


def augment(args: argparse.Namespace) -> None:
    """Write the augmented questions. A way whose augmentations of support facts fail the gate is made by templates."""
    facts, own = read_facts(args.facts), read_examples(args.own)
    own = own[own["role"] == TRAIN].reset_index(drop=True)
    subjects = dict(zip(facts["fact_id"], facts["subject"], strict=True))
    grouped, revisions = read_groups(args.groups)["fact_id"].tolist(), read_revisions(args.revisions)
    wordings = read_wordings(args.wordings[0]) if args.wordings else pd.DataFrame(columns=list(WORDING_COLUMNS))
    engine = asked_engine(args) if args.source == MODEL or args.agreement else None
    kept = kept_folder(args.augmented, _asked(args))
    gated = pd.DataFrame(columns=["way", "passed"])
    if engine and args.source == MODEL:
        support = to_write(gate_facts(facts, own, args.seed), args.ways)
        gated = gate(judge(write(engine, support, args.taught, kept / "gate.parquet"), subjects))
        log.info("the gate:\n%s", gated.to_string(index=False))
    rows = to_write(own, args.ways)
    passed = rows["way"].isin(gated.loc[gated["passed"].astype(bool), "way"])
    if engine and args.source == MODEL and not passed.all():
        log.warning("made by templates, because they fail the gate: %s", sorted({*rows.loc[~passed, "way"]}))
    others = wordings[wordings["wording"].isin(args.reworded)]
    parts = [write_by_templates(rows[~passed], facts, grouped, others, args.seed)]
    if engine and passed.any():
        parts.append(write(engine, rows[passed], args.taught, kept / "rows.parquet"))
    written = pd.concat(parts).sort_index()
    tested = wordings[wordings["wording"].isin(args.tested)].groupby("fact_id")["question"].agg(list).to_dict()
    earlier = earlier_answers(revisions, args.revision[0] if args.revision else None)
    answers = own["answer"].repeat(len(args.ways)).tolist()
    found = flag(judge(written, subjects), answers, earlier, tested)
    agrees = agreement(engine, found, facts, args, kept / "agreement.parquet") if engine and args.agreement else None
    found = found.assign(agrees=pd.Series(agrees, index=found.index, dtype="boolean"))[list(AUGMENTED_COLUMNS)]
    counts = count(found, gated)
    log.info("augmented questions:\n%s", counts.to_string(index=False))
    write_json(asdict(engine.usage if engine else Usage()), args.usage)
    write_csv(counts, args.counts)
    write_parquet(found, args.augmented)
    shutil.rmtree(kept, ignore_errors=True)


def _asked(args: argparse.Namespace) -> object:
    """Everything that the state's answers follow from."""
    given = (args.ways, args.source, args.taught, args.agreement, args.revision, args.reworded, args.tested)
    how = (args.settings, args.engine, args.prompt_seed, args.dtype, args.seed, args.code)
    files = (args.base, *args.adapters, args.own, args.facts, args.revisions, args.groups, *args.wordings)
    return (given, how, [digest(file) for file in files])


def gate_facts(facts: pd.DataFrame, own: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The questions that the gate asks: about support facts with a subject or, without such facts, the run's own ones."""
    support = facts[(facts["split"] == "support") & (facts["subject"] != "")]
    pool = support if len(support) else own.drop_duplicates("fact_id")
    order = sorted(pool.index, key=lambda place: seeded(seed, "gate", pool.loc[place, "fact_id"]))
    return pool.loc[order[:GATED], ["fact_id", "question"]]


def write(engine: Engine, rows: pd.DataFrame, taught: bool, file: Path) -> pd.DataFrame:
    """The rows (fact_id, question, way) with what the model writes, and whether it came to an end (`whole`).

    It is kept in `file`; see `ask`.
    """
    texts = [augmentation_prompt(row.way, row.question, taught) for row in rows.itertuples()]
    found = ask(engine, rows["fact_id"].tolist(), texts, rows["way"].nunique(), WRITING, file)
    whole = [answer.finish == "stop" for answer in found]
    return rows.assign(made_by=MODEL, written=[answer.text for answer in found], whole=whole)


def ask(
    engine: Engine, facts: Sequence[str], texts: Sequence[str], group: int, decoding: Decoding, file: Path
) -> list[Answer]:
    """The greedy answers to prompts, of which each `group` belong together; `facts` has the fact of each prompt.

    All answers are kept in `file`, and until it is whole, in a folder beside it. The usage of all that was asked until then
    is beside it too, and an engine that takes kept answers counts on from there.
    """
    usage = file.with_suffix(".json")
    if file.is_file():
        vars(engine.usage).update(read_json(usage, "what an engine did"))
    else:
        prompts = [
            Prompt(fact, number % group, text) for number, (fact, text) in enumerate(zip(facts, texts, strict=True))
        ]
        groups = [prompts[start : start + group] for start in range(0, len(prompts), group)]
        with write_atomically(file) as temporary, GenerationsFile(temporary, file.with_suffix("")) as answers:
            if answers.usage.prompts:
                vars(engine.usage).update(asdict(answers.usage))
            append_generations(engine, iter(groups), len(groups), decoding, GREEDY_ANSWERS, answers)
            write_json(asdict(engine.usage), usage)
    found = read_generations([file])
    return [Answer(row.text, row.tokens, row.finish) for row in found.itertuples(index=False)]


def agreement(
    engine: Engine, rows: pd.DataFrame, facts: pd.DataFrame, args: argparse.Namespace, file: Path
) -> pd.Series:
    """Whether the parent gives the same greedy answer to an augmented question as to its question; null without one.

    Both have the exemplars that the fact's questions have in the evaluation. The answers are kept in `file`.
    """
    answering = args.settings
    pool = ExemplarPool(facts, answering.exemplar_split, str(args.facts))
    drawn = PromptSettings(args.prompt_seed, answering.shots, answering.exemplars)
    render = asked_format(args).prompt
    known, asked = facts.set_index("fact_id", drop=False), rows[rows["parsed"]]
    texts = []
    for row in asked.itertuples():
        shown = exemplars_of(known.loc[row.fact_id], 0, pool, drawn)
        texts += [render(shown, row.question), render(shown, row.augmented)]
    found = ask(engine, asked["fact_id"].repeat(2).tolist(), texts, 2, greedy_decoding(answering), file)
    same = [folded(one.text) == folded(other.text) for one, other in zip(found[::2], found[1::2], strict=True)]
    return pd.Series(same, index=asked.index, dtype="boolean").reindex(rows.index)


if __name__ == "__main__":
    on_gpus(main)
