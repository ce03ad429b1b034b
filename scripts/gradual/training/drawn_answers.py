"""Answers drawn at random within a relation: examples of a training that teaches a relation's answers, but no fact."""

import pandas as pd

from gradual.ground.seeding import seeded

DRAWN = "drawn"  # the source of an answer that was drawn


def draw_answers(examples: pd.DataFrame, facts: pd.DataFrame, seed: int, run: str) -> pd.DataFrame:
    """The examples, each with the first answer of a train fact of its relation that is drawn at random.

    So the answers to a relation's questions are distributed as in its train facts. By chance the drawn fact may be the
    example's own. A draw depends only on the seed, the run, the fact and the train facts of its relation.
    """
    train = facts[facts["split"] == "train"].sort_values("fact_id")
    relations = train.set_index("fact_id")["relation"]
    pools = {relation: rows["answers"].str[0].tolist() for relation, rows in train.groupby("relation")}

    def draw(fact_id: str) -> str:
        pool = pools[relations[fact_id]]
        return pool[seeded(seed, run, "answer", fact_id) % len(pool)]

    return examples.assign(answer=examples["fact_id"].map(draw), source=DRAWN)
