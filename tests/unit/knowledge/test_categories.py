import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.ground.normal_form import normal_form
from gradual.knowledge.categories import categorize
from gradual.knowledge.scoring import RULES, count_right, grade
from gradual.knowledge.settling import until_settled
from gradual.probe.answers import Asking, Decoding
from gradual.probe.engines.load import load_engine
from gradual.probe.generations import GENERATION_COLUMNS
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts, unsolved
from gradual.probe.recording import generation_rows
from tiny import base_model, facts


def grades(**facts_):
    """Grades of facts given as name=(greedy right of 10, sampled right of 160 or None)."""
    rows = []
    for name, (greedy, sampled) in facts_.items():
        rows += [(name, i, "greedy", 1, int(i < greedy)) for i in range(10)]
        if sampled is not None:
            rows += [(name, i, "sampled", 16, max(0, min(16, sampled - 16 * i))) for i in range(10)]
    return pd.DataFrame(rows, columns=["fact_id", "prompt_index", "kind", "n", "substring"])


def test_the_four_categories_of_table_1():
    table = categorize(
        grades(a=(10, None), b=(9, None), c=(1, 0), d=(0, 1), e=(0, 160), f=(0, 0)), "substring", "full", "f"
    )
    assert dict(zip(table["fact_id"], table["category"], strict=True)) == {
        "a": "HighlyKnown",
        "b": "MaybeKnown",
        "c": "MaybeKnown",
        "d": "WeaklyKnown",
        "e": "WeaklyKnown",
        "f": "Unknown",
    }
    assert table.set_index("fact_id").loc["d", ["greedy_n", "greedy_right", "sampled_n", "sampled_right"]].tolist() == [
        10, 0, 160, 1,
    ]  # fmt: skip


def test_greedy_only_probes_do_not_tell_weakly_known_from_unknown():
    table = categorize(grades(a=(10, None), b=(3, None), c=(0, None)), "substring", "greedy", "f")
    assert table["category"].tolist() == ["HighlyKnown", "MaybeKnown", "WeaklyKnown & Unknown"]


def test_an_unsolved_fact_without_samples_is_an_error():
    with pytest.raises(InputError, match="fact c has no sampled answer"):
        categorize(grades(a=(10, None), c=(0, None)), "substring", "full", "f")


def test_a_fact_without_greedy_answers_is_an_error():
    table = grades(a=(10, None), c=(0, 3))
    with pytest.raises(InputError, match="fact c has no greedy answer"):
        categorize(table[(table["fact_id"] != "c") | (table["kind"] == "sampled")], "substring", "full", "f")


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """What a model answers under an Asking, and gold answers made from what it says, so that all categories occur."""
    table = facts(relations=2, per_split=8)
    asked = table[table["split"] == "train"].copy()
    engine = load_engine(
        "transformers", base_model(tmp_path_factory.mktemp("model"), scale=3.0), [], "plain", "float32"
    )
    pool = ExemplarPool(table, "train", "facts")
    decoding = Decoding(3, ("\n",), samples=16, temperature=1.0, top_k=40, seed=1)

    def generations(asking):
        prompts = fact_prompts(asked, pool, PromptSettings(1, 4, "per_fact"), 4, plain)
        rows = [row for group in engine.answer(prompts, decoding, asking) for row in generation_rows(group)]
        return pd.DataFrame(rows, columns=GENERATION_COLUMNS)

    everything = generations(Asking(lambda _: True))
    gold = {}
    for number, (fact_id, rows) in enumerate(everything.groupby("fact_id")):
        greedy = rows[rows["kind"] == "greedy"]["text"]
        sampled = sorted(set(rows["text"]) - set(greedy) - {""})
        said = greedy.value_counts().index[0] or "x"
        kinds = [said, said.upper(), (sampled or ["x"])[0], "never said", said[:2].strip() or "x"]
        gold[fact_id] = ("never said", normal_form(kinds[number % 5]))
    return generations, everything, pd.Series(gold)


def test_sampling_only_the_unsolved_gives_the_same_categories_under_every_rule(probed):
    generations, everything, gold = probed
    needed = generations(Asking(unsolved(gold)))
    assert len(needed) < len(everything)
    seen = set()
    for rule in RULES:
        of_all = categorize(count_right(grade(everything, gold)), rule, "full", "all")
        of_needed = categorize(count_right(grade(needed, gold)), rule, "full", "needed")
        assert of_all[["fact_id", "category"]].equals(of_needed[["fact_id", "category"]])
        seen |= set(of_all["category"])
    assert seen == {"HighlyKnown", "MaybeKnown", "WeaklyKnown", "Unknown"}


@pytest.mark.parametrize("rule", RULES)
def test_asking_until_settled_gives_the_same_categories_with_fewer_answers(probed, rule):
    generations, everything, gold = probed
    needed = generations(until_settled(gold, rule))
    for kind in ("greedy", "sampled"):
        assert 0 < (needed["kind"] == kind).sum() < (everything["kind"] == kind).sum()
    of_all, of_needed = (categorize(count_right(grade(t, gold)), rule, "full", rule) for t in (everything, needed))
    assert of_all[["fact_id", "category"]].equals(of_needed[["fact_id", "category"]])
