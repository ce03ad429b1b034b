"""The labels of a study's facts, as tables for others: a row per fact, seed, model, state and probe."""

import pandas as pd

from gradual.data.facts import read_facts
from gradual.export.study import Finished
from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet
from gradual.study import result_files as kinds
from gradual.study.result_files import Result

TEXTS = ("subject", "question", "answers")  # what the licence of a dataset is about
ABOUT = ["fact_id", "split", "relation", *TEXTS]
PLACE = ["seed", "model", "state", "probe"]
COUNTS = ["greedy_right", "greedy_n", "sampled_right", "sampled_n"]
GROUP_COUNTS = ["wording", "revision", "right"]


def category_labels(study: Finished, texts: bool) -> pd.DataFrame:
    """The category of each fact in each probed state, and how many of its answers were right and asked for.

    Columns: fact_id, split, relation, with `texts` subject, question and answers, then seed, model, state, probe (0; 1 is
    the re-probe), category, greedy_right, greedy_n, sampled_right and sampled_n. Raises InputError for a fact that the
    study does not have.
    """
    return _labels(study, kinds.CATEGORIES, ["category", *COUNTS], texts)


def revision_labels(study: Finished, texts: bool) -> pd.DataFrame:
    """Whether each state's answer to each wording of a fact's question is right by the answer of each revision.

    The columns are those of `category_labels`, with wording, revision and right in place of the category and the counts.
    The table is empty for a study without revisions.
    """
    return _labels(study, kinds.GROUP_GRADES, GROUP_COUNTS, texts)


def _labels(study: Finished, kind: str, columns: list[str], texts: bool) -> pd.DataFrame:
    about = [name for name in ABOUT if texts or name not in TEXTS]
    facts = {seed: read_facts(study.file(Result(kinds.FACTS), seed, "")) for seed in study.config["seeds"]}
    found = [pd.DataFrame(columns=[*about, *PLACE, *columns])]
    for seed, model, result in study.of_kind(kind):
        file = study.file(result, seed, model)
        labels = read_parquet(file, "a result of this study", ("fact_id", *columns))[["fact_id", *columns]]
        whole = facts[seed][about].merge(labels, on="fact_id", how="right")
        if whole["split"].isna().any():
            problem = f"the fact {whole.loc[whole['split'].isna(), 'fact_id'].iloc[0]} is not in the facts table"
            raise InputError(file, problem, "labels of the study's facts", key="fact_id")
        place = {"seed": seed, "model": model, "state": result.state, "probe": result.probe}
        found.append(whole.assign(**place)[[*about, *PLACE, *columns]])
    return pd.concat(found[1:] or found, ignore_index=True)
