"""Train answers: the distinct answers of each relation's train facts, and how frequent they are."""

import pandas as pd


def count_answers(given: pd.DataFrame) -> pd.DataFrame:
    """The distinct answers of each relation. `given` has a row per train fact: relation and answer, or None for no answer.

    Columns: relation, answer, n (the facts that have it) and share (of the relation's facts). In each relation, the most
    frequent answer comes first, and of equally frequent answers the first in sorted order.
    """
    counts = given.groupby(["relation", "answer"]).size().reset_index(name="n")
    counts["share"] = counts["n"] / given["relation"].value_counts().reindex(counts["relation"]).to_numpy()
    return counts.sort_values(["relation", "n", "answer"], ascending=[True, False, True], ignore_index=True)
