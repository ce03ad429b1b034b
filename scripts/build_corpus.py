"""Write pretraining text about a facts table."""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from gradual.data.facts import read_facts
from gradual.data.pretraining_text import CorpusSettings, documents, exposure
from gradual.ground.files import read_parquet, write_parquet
from gradual.ground.settings import add_paths
from gradual.ground.settings import parser as parser_of
from gradual.workflow.starting import report

log = logging.getLogger("gradual")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_paths(parser, "facts", "communities", "exposure", "corpus")
    parser.add_argument("--settings", type=parser_of(CorpusSettings), required=True, help="of the config, as JSON")
    parser.add_argument("--wordings", type=Path, nargs="*", default=[], help="wordings in which documents may ask")
    parser.add_argument("--rewritten", type=int, nargs="*", default=[], help="those that rewritten questions may have")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)
    facts = read_facts(args.facts)
    communities = read_parquet(args.communities, "the communities of subjects", ("subject", "community"))
    told = exposure(facts, args.settings, np.random.default_rng([args.seed, 2]))
    columns = ("fact_id", "wording", "question")
    wordings = next((read_parquet(path, "the wordings of questions", columns) for path in args.wordings), None)
    near = communities if len(communities) else None
    rewritten = None if wordings is None else wordings[wordings["wording"].isin(args.rewritten)]
    texts = list(documents(facts, told, near, args.settings, args.seed, wordings, rewritten))
    corpus = pd.DataFrame(texts, columns=["kind", "text"])
    log.info(
        "documents and words by kind:\n%s", corpus["text"].str.split().str.len().groupby(corpus["kind"]).describe()
    )
    write_parquet(told, args.exposure)
    write_parquet(corpus, args.corpus)


if __name__ == "__main__":
    report(main)
