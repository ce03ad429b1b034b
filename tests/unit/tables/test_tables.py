"""The tables of counts, fed with made-up results that have exactly the paper's counts, and with broken ones."""

import numpy as np
import pandas as pd
import pytest

from gradual.ground import statistics
from gradual.ground.errors import InputError
from gradual.knowledge import categories
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.tables import reading, registry
from gradual.tables.gradual_learning import category_counts, paper
from gradual.tables.spec import Results
from made_up import RUN1, RUN2, fact_table, full, greedy, loaded, probe, spread, study, transitions


def build(name: str, made: Results, *args, **other) -> pd.DataFrame:
    return registry.TABLES[name].build(made, study(*args, **other))


# The paper's counts through the machinery


def test_table_2_of_the_papers_counts():
    labels, _ = transitions(paper.values(2, "Qwen2-7B"))
    frame = build("table_02", loaded({("origin", 0): labels}))
    assert list(frame["type"]) == list(categories.FULL)
    assert list(frame["count"]) == list(frame["paper_count"]) == [34426, 36897, 25986, 71855]
    assert list(frame["share"]) == pytest.approx(list(frame["paper_share"]))
    assert list(frame["share"].round(3)) == [0.204, 0.218, 0.154, 0.425]
    assert ((frame["share_low"] < frame["share"]) & (frame["share"] < frame["share_high"])).all()
    assert (frame["n"] == 169_164).all()


def test_table_3_of_the_papers_counts():
    before, after = transitions(paper.values(3, "Qwen2-7B"))
    shape = {("origin", 0): before, ("origin", 1): before, (RUN1, 0): after}
    frame = build("table_03", loaded(shape))
    assert list(frame["count"]) == list(frame["paper_count"])
    assert list(frame["share_of_origin"]) == pytest.approx(list(frame["paper_share_of_origin"]))
    assert list(zip(frame["origin_type"], frame["new_type"], strict=True)) == list(paper.values(3, "Qwen2-7B"))
    cells = frame.set_index(["origin_type", "new_type"])
    moved = cells.loc[("WeaklyKnown", "MaybeKnown")]
    assert moved["share_of_origin"] == pytest.approx(4889 / 25986)
    # The retest changes nothing here, so all of it is due to training.
    assert moved["retest_share_of_origin"] == 0
    assert moved["net_share_of_origin"] == pytest.approx(4889 / 25986)
    kept = cells.loc[("HighlyKnown", "HighlyKnown")]
    assert kept["net_share_of_origin"] == pytest.approx(27282 / 34426 - 1)


def test_table_3_takes_trained_states_that_were_probed_in_full():
    before, after = ["HighlyKnown", "Unknown", "WeaklyKnown"], ["MaybeKnown", "WeaklyKnown", "Unknown"]
    frame = build("table_03", loaded({("origin", 0): before, (RUN1, 0): after}), retests=0)
    counts = frame.set_index(["origin_type", "new_type"])["count"]
    assert counts["Unknown", "WeaklyKnown & Unknown"] == counts["WeaklyKnown", "WeaklyKnown & Unknown"] == 1
    assert frame["retest_share_of_origin"].isna().all() and frame["net_share_of_origin"].isna().all()
    # No fact is MaybeKnown at origin: a share of none is not defined.
    assert frame.loc[frame["origin_type"] == "MaybeKnown", "share_of_origin"].isna().all()


def test_table_3_is_net_of_the_re_probe_on_the_same_facts():
    # Of ten WeaklyKnown facts three rise in the re-probe, five by training, two of them in both.
    states = {("origin", 0): full("W" * 10), ("origin", 1): greedy("MMMUUUUUUU"), (RUN1, 0): greedy("UMMMMMUUUU")}
    rows = build("table_03", loaded(states)).set_index(["origin_type", "new_type"])
    row = rows.loc[("WeaklyKnown", "MaybeKnown")]
    assert (row["share_of_origin"], row["retest_share_of_origin"]) == (0.5, 0.3)
    again, after = ([letter == "M" for letter in text] for text in ("MMMUUUUUUU", "UMMMMMUUUU"))
    expected = statistics.paired_difference(np.array(again), np.array(after))
    found = [row[f"net_share_of_origin{end}"] for end in ("", "_low", "_high")]
    assert found == pytest.approx(list(expected)) and expected.value == pytest.approx(0.2)
    more = {("origin", 0): full("WWWWHHHHHH"), ("origin", 1): greedy("MMMMHHHHHH"), (RUN1, 0): greedy("MUUUHHHHHH")}
    row = build("table_03", loaded(states) | loaded(more, seed=1), (0, 1)).set_index(["origin_type", "new_type"])
    assert row.loc[("WeaklyKnown", "MaybeKnown"), "net_share_of_origin"] == pytest.approx((0.2 - 0.75) / 2)


def test_table_4_of_the_papers_counts():
    before, after = transitions(paper.values(4, "Qwen2-7B"))
    # A full probe on one side: both sides are collapsed.
    before = ["Unknown" if label == categories.WEAKLY_OR_UNKNOWN else label for label in before]
    frame = build("table_04", loaded({("origin", 0): before, ("origin", 1): after}))
    assert list(frame["count"]) == list(frame["paper_count"])
    assert frame["count"].sum() == 176_560
    cells = frame.set_index(["origin_type", "new_type"])
    assert cells.loc[("WeaklyKnown & Unknown", "MaybeKnown"), "share_of_origin"] == pytest.approx(0.0514, abs=1e-4)
    assert cells.loc[("HighlyKnown", "WeaklyKnown & Unknown"), "count"] == 0


def test_table_12_of_the_papers_counts():
    before, after = transitions(paper.values(12, "Qwen2-7B"))
    frame = build("table_12", loaded({(RUN1, 0): before, (RUN2, 0): after}))
    assert list(frame["count"]) == list(frame["paper_count"])
    assert list(frame["share"]) == pytest.approx(list(frame["paper_share"]))
    assert list(frame["share_of_origin"]) == pytest.approx(list(frame["paper_share_of_origin"]))
    cells = frame.set_index(["origin_type", "new_type"])
    assert cells.loc[("MaybeKnown", "HighlyKnown"), "share_of_origin"] == pytest.approx(6131 / 20665)
    assert cells.loc[("MaybeKnown", "HighlyKnown"), "share"] == pytest.approx(6131 / 169_164)


def test_table_12_over_seeds():
    made = loaded({(RUN1, 0): greedy("HHMM"), (RUN2, 0): greedy("HMHU")})
    made |= loaded({(RUN1, 0): greedy("HMMM"), (RUN2, 0): greedy("HHHH")}, seed=1)
    cells = build("table_12", made, (0, 1)).set_index(["origin_type", "new_type"])
    row = cells.loc[("MaybeKnown", "HighlyKnown")]
    assert row["count"] == 2 and row["share_of_origin"] == pytest.approx((1 / 2 + 3 / 3) / 2)
    assert row["share"] == pytest.approx((1 / 4 + 3 / 4) / 2)
    # No fact is of that type after stage 1 in either seed.
    assert pd.isna(cells.loc[("WeaklyKnown & Unknown", "HighlyKnown"), "share_of_origin"])


def table_10_states() -> dict[tuple[str, int], list[str]]:
    cells = paper.values(10, "Qwen2-7B")
    states = {"Origin": "origin", "One-Stage": RUN1, "Two-Stage": RUN2}
    return {
        (state, 0): [name for name, _ in spread({key: value for key, value in cells.items() if key[1] == stage})]
        for stage, state in states.items()
    }


def test_table_10_of_the_papers_counts():
    frame = build("table_10", loaded(table_10_states()))
    counts, ratios = frame[:9], frame[9:].set_index("stage")
    assert list(counts["count"]) == list(counts["paper_count"])
    assert list(counts["share"]) == pytest.approx(list(counts["paper_share"]))
    for stage, expected in ((category_counts.OVER_ONE_STAGE, 0.0747), (category_counts.OVER_GROWTH, 0.2403)):
        assert ratios.loc[stage, "share"] == ratios.loc[stage, "paper_share"]
        assert ratios.loc[stage, "share"] == pytest.approx(expected, abs=1e-4)
        assert ratios["share_low"].isna().all()


def test_ratios_without_growth_say_why():
    ratios = category_counts.growths(10, 10, 12)
    assert ratios[category_counts.OVER_ONE_STAGE] == (0.2, "")
    assert "no more HighlyKnown facts than Origin" in ratios[category_counts.OVER_GROWTH][1]
    assert "no HighlyKnown" in category_counts.growths(0, 0, 1)[category_counts.OVER_ONE_STAGE][1]
    labels = ["HighlyKnown", "MaybeKnown"]
    frame = build("table_10", loaded({("origin", 0): labels, (RUN1, 0): labels, (RUN2, 0): labels}))
    assert "| n/a: One-Stage has no more HighlyKnown facts than Origin |" in registry.render("table_10", frame)


# Several seeds, missing cells


def test_intervals_over_seeds_are_students():
    made = loaded({("origin", 0): ["HighlyKnown"] * 3 + ["Unknown"] * 7})
    made |= loaded({("origin", 0): ["HighlyKnown"] * 5 + ["Unknown"] * 15}, seed=1)
    made |= loaded({("origin", 0): ["HighlyKnown"] * 2 + ["Unknown"] * 8}, seed=2)
    row = build("table_02", made, (0, 1, 2)).iloc[0]
    expected = statistics.mean_interval([0.3, 0.25, 0.2])
    assert (row["share"], row["share_low"], row["share_high"]) == pytest.approx(tuple(expected))
    assert row["count"] == pytest.approx(10 / 3) and row["n"] == pytest.approx(40 / 3) and row["seeds"] == 3


def test_ratios_over_seeds_have_an_interval():
    high, low = "HighlyKnown", "Unknown"
    made: Results = {}
    for seed, (one, two) in enumerate([(4, 6), (5, 6)]):
        counts = {"origin": 2, RUN1: one, RUN2: two}
        made |= loaded({(s, 0): [high] * k + [low] * (10 - k) for s, k in counts.items()}, seed=seed)
    row = build("table_10", made, (0, 1)).iloc[-1]
    assert row["share"] == pytest.approx((2 / 2 + 1 / 3) / 2) and row["share_low"] < row["share"] < row["share_high"]


def test_a_ratio_that_one_seed_lacks_names_the_seed():
    made = loaded({("origin", 0): greedy("HUU"), (RUN1, 0): greedy("HHU"), (RUN2, 0): greedy("HHH")})
    made |= loaded({("origin", 0): greedy("HUU"), (RUN1, 0): greedy("HUU"), (RUN2, 0): greedy("HHH")}, seed=1)
    row = build("table_10", made, (0, 1)).iloc[-1]
    assert row["reason"].endswith("than Origin (seed 1)") and pd.isna(row["share"])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (probe(["HighlyKnown"]), "lacks 1 train facts and has 0 others"),
        (probe(["HighlyKnown"] * 3), "lacks 0 train facts and has 1 others"),
        (probe(["HighlyKnown", None]), "row 2, key 'category': the cell is empty"),
        (probe(["HighlyKnown", "Known"]), "the category 'Known'"),
        (probe(["HighlyKnown", "WeaklyKnown & Unknown"]), "the category 'WeaklyKnown & Unknown'"),
        (pd.concat([probe(["HighlyKnown"])] * 2), "row 2, key 'fact_id': the fact occurs twice"),
        (probe(["HighlyKnown"] * 2).drop(columns="category"), "a column 'category'"),
    ],
)
def test_a_broken_probe_is_refused(broken, message):
    made = {(0, "", Result(FACTS)): fact_table(2), (0, "m", Result(CATEGORIES, "origin")): broken}
    with pytest.raises(InputError) as error:
        build("table_02", made)
    assert message in str(error.value) and "seed0/m/origin/train-probe-0/categories.parquet" in str(error.value)


def test_a_missing_seed_is_an_error():
    with pytest.raises(InputError, match=r"seed1/m/origin/train-probe-0.*missing"):
        build("table_02", loaded({("origin", 0): list(categories.FULL)}), (0, 1))


def test_different_facts_in_two_probes():
    before, after = pd.Series(["HighlyKnown"], index=["a"]), pd.Series(["HighlyKnown"], index=["b"])
    with pytest.raises(InputError, match="the same facts in both"):
        reading.cross(before, after, categories.FULL, categories.GREEDY_ONLY)


def test_a_probe_of_the_test_facts_is_held_against_these():
    made: Results = {(0, "", Result(FACTS)): fact_table(3, test=2)}
    made[0, "m", Result(CATEGORIES, "origin", 0, "test")] = probe(["HighlyKnown", "Unknown"], "test")
    found = reading.categories(made, 0, "m", "origin", 0, categories.FULL, "test")
    assert list(found) == ["HighlyKnown", "Unknown"]
    made[0, "m", Result(CATEGORIES, "origin", 0, "test")] = probe(["HighlyKnown", "Unknown"], "train")
    with pytest.raises(InputError, match="lacks 2 test facts and has 2 others"):
        reading.categories(made, 0, "m", "origin", 0, categories.FULL, "test")


def test_a_model_that_the_paper_does_not_report():
    labels = ["HighlyKnown", "MaybeKnown", "Unknown"]
    made = loaded({("origin", 0): labels, ("origin", 1): labels})
    text = registry.render("table_04", build("table_04", made, paper_model="LLaMA3-8B"))
    assert "The paper reports Qwen2-7B only." in text and "| – " in " ".join(text.split())
    alone = registry.render("table_04", build("table_04", made, paper_model=None))
    assert "only." not in alone
