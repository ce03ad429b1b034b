"""The graph behind Table 5, on edges made by hand, and the table that is made of it."""

import math
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradual.ground import statistics
from gradual.knowledge import entity_graph
from gradual.knowledge.entity_graph import Links, links, permuted
from gradual.study.result_files import CATEGORIES, FACTS, Result
from gradual.tables import registry
from gradual.tables.gradual_learning.graph import excess, find
from gradual.tables.reading import load
from gradual.tables.spec import Results
from made_up import RUN1, full, greedy, probe, study, train_id, write_results

Edge = tuple[str, str]


def test_an_edge_joins_the_subject_with_the_first_answer():
    facts = pd.DataFrame(
        {
            "subject": [" Rodney\u00a0Crowell - Greatest  Hits", "\u200b", "  "],
            "question": ["Who performed Rodney Crowell - Greatest Hits?", "Who sang it? ", "Where?"],
            "answers": [["\u200eRodney Crowell "], ["Ann", "Bob"], np.array(["York"])],
        }
    )
    assert entity_graph.edges(facts) == [
        ("Rodney Crowell - Greatest Hits", "Rodney Crowell"),
        ("Who sang it?", "Ann"),
        ("Where?", "York"),
    ]
    assert entity_graph.nodes([("a", "b"), ("b", "c")]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("reclassified", "nodes", "linked"),
    [
        ([], 0, 0),
        ([("A", "x")], 1, 1),  # by an edge
        ([("A", "x"), ("x", "y"), ("z", "y")], 3, 3),  # by a path, in either direction
        ([("p", "q")], 2, 0),
        ([("A", "B")], 0, 0),  # nodes of both kinds of facts are initial alone
        ([("A", "x"), ("A", "x"), ("x", "A")], 1, 1),  # repeated facts
        ([("p", "p"), ("A", "A")], 1, 0),
        ([("A", "x"), ("x", "y"), ("B", "z"), ("p", "q"), ("q", "r")], 6, 3),
    ],
)
def test_links_on_edges_made_by_hand(reclassified, nodes, linked):
    assert links({"A", "B", "C"}, reclassified) == Links(3, nodes, linked)


def test_the_share_of_linked_nodes():
    assert Links(3, 6, 3).share == 0.5 and Links(3, 6, 0).share == 0
    assert math.isnan(Links(3, 0, 0).share)


def pool(linked: int, alone: int, start: int = 0) -> list[Edge]:
    """So many facts with one new node each: linked to the initial A, or alone with an edge to itself."""
    names = [f"n{start + i}" for i in range(linked + alone)]
    return [(name, "A") for name in names[:linked]] + [(name, name) for name in names[linked:]]


def chance_of(at_least: int, n: int, linked: int, alone: int) -> float:
    """The probability that so many of n facts drawn from the pool are linked, at least."""
    return sum(
        comb(linked, k) * comb(alone, n - k) / comb(linked + alone, n) for k in range(at_least, min(n, linked) + 1)
    )


@pytest.mark.parametrize("observed", range(1, 6))
def test_p_is_that_of_drawing_without_replacement(observed):
    null = permuted({"A"}, [pool(8, 12)], [5], Links(1, 5, observed), 2000, seed=0)
    assert null.p == pytest.approx(chance_of(observed, 5, 8, 12), abs=0.03)
    assert null.shares.mean() == pytest.approx(8 / 20, abs=0.02)
    assert len(null.shares) == 2000 and set(np.round(5 * null.shares)) <= set(range(6))


def test_p_counts_the_observed_draw():
    planted = permuted({"A"}, [pool(10, 190)], [10], Links(1, 10, 10), 400, seed=0)
    assert planted.p == 1 / 401
    everything = permuted({"A"}, [pool(3, 3)], [6], Links(1, 6, 3), 50, seed=0)
    assert everything.p == 1 and (everything.shares == 0.5).all()


def test_random_links_are_seldom_called_more_than_chance():
    random = np.random.default_rng(0)
    facts = pool(40, 60)
    p = []
    for i in range(60):
        drawn = [facts[j] for j in random.choice(100, size=20, replace=False)]
        p.append(permuted({"A"}, [facts], [20], links({"A"}, drawn), 99, seed=i).p)
    assert np.mean(np.array(p) <= 0.05) < 0.15 and np.mean(p) > 0.3


def test_a_null_within_pools_draws_as_many_of_each():
    pools = [pool(4, 0), pool(0, 16, start=4)]
    within = permuted({"A"}, pools, [2, 2], Links(1, 4, 2), 100, seed=0)
    assert (within.shares == 0.5).all() and within.p == 1
    anywhere = permuted({"A"}, [[*pools[0], *pools[1]]], [4], Links(1, 4, 2), 2000, seed=0)
    assert anywhere.p == pytest.approx(chance_of(2, 4, 4, 16), abs=0.03)
    nothing_of_one = permuted({"A"}, pools, [0, 3], Links(1, 3, 0), 10, seed=0)
    assert (nothing_of_one.shares == 0).all() and nothing_of_one.p == 1


def test_draws_depend_on_the_seed_alone():
    first, again, other = (permuted({"A"}, [pool(8, 12)], [5], Links(1, 5, 3), 50, seed=s) for s in (1, 1, 2))
    assert (first.shares == again.shares).all() and (first.shares != other.shares).any()


def test_without_a_share_there_is_no_p():
    # All nodes of the observed facts are initial, but other draws would have new ones.
    null = permuted({"A"}, [[("A", "A"), *pool(1, 8)]], [1], Links(1, 0, 0), 50, seed=0)
    assert math.isnan(null.p) and not np.isnan(null.shares).all()


# The table


def results_of(rows: list[tuple[str, str, str, str]], seed: int = 0) -> Results:
    """Facts of a relation, an answer, and a category at origin and after stage 1 (initials); subjects are all new."""
    ids = [train_id(i) for i in range(len(rows))]
    relations, answers, before, after = zip(*rows, strict=True)
    facts = pd.DataFrame({"fact_id": ids, "split": "train", "relation": relations, "subject": [f"s{i}" for i in ids]})
    return {
        (seed, "", Result(FACTS)): facts.assign(question="?", answers=[[answer] for answer in answers]),
        (seed, "m", Result(CATEGORIES)): probe(full("".join(before))),
        (seed, "m", Result(CATEGORIES, RUN1)): probe(greedy("".join(after))),
    }


# Songs have the answers of facts that were MaybeKnown; towns have answers of their own.
INITIAL = [("song", f"singer {i}", "M", "H") for i in range(10)]
SONGS, TOWNS = ([(r, f"{a} {i}", "W", "U") for i in range(10)] for r, a in (("song", "singer"), ("town", "river")))


def risen(rows: list[tuple[str, str, str, str]], n: int) -> list[tuple[str, str, str, str]]:
    """The first n of them rise to MaybeKnown in stage 1."""
    return [(*row[:3], "M") if i < n else row for i, row in enumerate(rows)]


def table(made: Results, seeds: tuple[int, ...] = (0,)) -> pd.Series:
    return registry.TABLES["table_05"].build(made, study(seeds)).iloc[0]


def test_table_5_by_hand():
    row = table(results_of([*INITIAL, *risen(SONGS, 6), *risen(TOWNS, 2)]))
    # Initial: ten subjects, ten singers. Risen: six subjects of songs, and subject and river of two towns.
    assert (row["initial"], row["reclassified"], row["linked"]) == (20, 10, 6)
    assert row["share"] == pytest.approx(0.6)
    assert (row["paper_initial"], row["paper_reclassified"], row["paper_linked"]) == (43_005, 5_121, 3_968)
    assert row["paper_share"] == pytest.approx(0.7748, abs=1e-4)
    # Six songs and two towns, whichever they are, have ten nodes of which six are linked.
    assert row["within_null"] == pytest.approx(0.6) and row["within_p"] == "1.000"
    assert [row[f"within_over{end}"] for end in ("", "_low", "_high")] == pytest.approx([0, 0, 0])


def test_a_relation_that_rises_alone_is_beyond_chance_anywhere_but_not_within():
    made = results_of([*INITIAL, *risen(SONGS, 8), *TOWNS])
    row = table(made)
    assert row["share"] == 1 and row["within_p"] == "1.000" and row["within_over"] == 0
    assert row["anywhere_p"] == "< 0.001" and row["anywhere_over_low"] > 0.1
    [found] = find(made, study(), "m")
    low, high = np.percentile(found.anywhere.shares, [2.5, 97.5])
    assert row["anywhere_over"] == pytest.approx(1 - found.anywhere.shares.mean())
    assert [row["anywhere_over_low"], row["anywhere_over_high"]] == pytest.approx([1 - high, 1 - low])


def test_facts_that_only_rise_in_part_are_no_more_than_chance():
    row = table(results_of([*INITIAL, *risen(SONGS, 4), *risen(TOWNS, 4)]))
    assert float(row["anywhere_p"]) > 0.3 and row["anywhere_over_low"] < 0 < row["anywhere_over_high"]


def test_only_facts_that_were_weakly_known_are_reclassified():
    others = [("song", "singer 1", "U", "M"), ("song", "singer 2", "H", "M"), ("song", "singer 3", "W", "H")]
    row = table(results_of([*INITIAL, *risen(SONGS, 3), *others]))
    assert (row["initial"], row["reclassified"]) == (20, 3)


def test_table_5_over_seeds():
    made = results_of([*INITIAL, *risen(SONGS, 6), *risen(TOWNS, 2)])
    made |= results_of([*INITIAL, *risen(SONGS, 8), *TOWNS], seed=1)
    row = table(made, (0, 1))
    assert (row["reclassified"], row["linked"]) == (9, 7) and row["share"] == pytest.approx((0.6 + 1) / 2)
    assert len(row["within_p"].split()) == 2 and row["within_null"] == pytest.approx(0.8)
    found = find(made, study((0, 1)), "m")
    each = [f.links.share - f.anywhere.shares.mean() for f in found]
    assert excess(found, "anywhere") == pytest.approx(statistics.mean_interval(each))
    assert row["anywhere_over"] == pytest.approx(sum(each) / 2)


def test_table_5_where_nothing_rises():
    frame = registry.TABLES["table_05"].build(results_of([*INITIAL, *SONGS]), study())
    row = frame.iloc[0]
    assert row["reclassified"] == 0 and pd.isna(row["share"]) and pd.isna(row["within_over"])
    assert row["within_p"] == "–" and "nan" not in registry.render("table_05", frame)


def test_table_5_from_files(tmp_path: Path):
    made = results_of([*INITIAL, *risen(SONGS, 6), *risen(TOWNS, 2)])
    write_results(tmp_path, made)
    spec = registry.TABLES["table_05"]
    read = load(tmp_path, study(), {"m": spec.needs(study(), study().models["m"])})
    assert spec.build(read, study()).equals(spec.build(made, study()))
