import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradual.ground.normal_form import normal_form
from gradual.knowledge.golds import golds
from gradual.knowledge.scoring import MEASURES, RULES, TOKEN_F1, count_right, grade, normalise
from gradual.probe.answers import Answer, Answered, Prompt
from gradual.probe.questions import unsolved


@pytest.mark.parametrize(
    ("output", "answer", "right"),
    [
        ("Paris", "Paris", {"substring", "case_sensitive", "word_boundary", "exact"}),
        ("paris", "Paris", {"substring", "word_boundary", "exact"}),
        ("It is Paris, France.", "Paris", {"substring", "case_sensitive", "word_boundary"}),
        ("The Paris.", "paris", {"substring", "word_boundary", "exact"}),
        ("Parisian", "Paris", {"substring", "case_sensitive"}),
        ("Lyon", "Paris", set()),
        ("", "Paris", set()),
        ("STRASSE", "straße", {"substring", "word_boundary", "exact"}),
        ("a C++ compiler", "C++", {"substring", "case_sensitive", "word_boundary"}),
        ("the beatles", "Beatles", {"substring", "word_boundary", "exact"}),
        ("Zoë Kravitz", "Zoë", {"substring", "case_sensitive", "word_boundary"}),
        ("2010s", "2010", {"substring", "case_sensitive"}),
    ],
)
def test_scoring_rules(output, answer, right):
    assert {name for name, rule in RULES.items() if rule.best(output, (answer,))} == right


def test_normalisation_drops_case_articles_punctuation_and_spaces():
    assert normalise("  The  U.S.A., an end ") == "usa end"


# Letters, punctuation, articles, accents as characters of their own, kinds of spaces, and characters without width.
PARTS = [
    "Zoe\u0308",
    "Zo\u00eb",
    "the",
    "The",
    "a",
    "!",
    "?",
    "C++",
    "(",
    "\u00a0",
    "\u3000",
    " ",
    "\u200b",
    "\u200e",
    "\u00ad",
    "\ufeff",
    "\u00df",
]
TEXTS = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=5).map("".join)


def facts_of(*answers):
    return pd.DataFrame({"fact_id": [str(i) for i in range(len(answers))], "answers": list(map(list, answers))})


@example(["The The"], 0)
@example(["!!!"], 0)
@example(["St.\u00a0Louis"], 0)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(0, 3))
def test_an_output_that_equals_a_gold_answer_is_right_under_every_rule_and_needs_no_samples(answers, index):
    """All that is verbatim is right, so `unsolved` leaves out no sample that could change a category."""
    said = answers[index % len(answers)].strip()
    accepted = golds(facts_of(answers), "any")
    visible = normal_form(said) != ""
    graded = grade(pd.DataFrame({"fact_id": ["0"], "text": [said]}), accepted, MEASURES).iloc[0]
    assert [bool(graded[name]) for name in RULES] == [visible] * len(RULES)
    assert graded[TOKEN_F1] == visible
    assert unsolved(accepted)([Answered(Prompt("0", 0, ""), Answer(said, 1, "stop"))]) == (not visible)


@given(TEXTS, TEXTS)
def test_what_equals_no_gold_answer_under_some_rule_is_sampled(said, gold):
    accepted = golds(facts_of([gold]), "any")
    if not unsolved(accepted)([Answered(Prompt("0", 0, ""), Answer(said.strip(), 1, "stop"))]):
        assert all(rule.best(said, accepted["0"]) for rule in RULES.values())


@pytest.mark.parametrize(
    "form",
    [
        "Zo\u00eb Saldana",
        "Zoe\u0308 Saldana",
        "Zo\u00eb\u00a0Saldana",
        "Zo\u00eb  Saldana",
        "\u200eZo\u00eb Sal\u00addana\u200b",
    ],
)
@pytest.mark.parametrize("other", ["Zo\u00eb Saldana", "Zoe\u0308\u3000Saldana", "\ufeffZo\u00eb Saldana"])
def test_texts_that_look_equal_are_equal(form, other):
    generations = pd.DataFrame({"fact_id": ["0"] * 2, "text": [form, f"It is {form}."]})
    graded = grade(generations, golds(facts_of([other]), "first"), MEASURES)
    assert graded.loc[0, [*MEASURES]].all()
    assert graded.loc[1, ["substring", "case_sensitive", "word_boundary"]].all()


@pytest.mark.parametrize("invisible", ["\u200e", "\u200b\u00ad", "\u00a0", " "])
def test_a_gold_answer_without_a_visible_character_is_never_right(invisible):
    assert not any(rule.best(said, (invisible,)) for rule in MEASURES.values() for said in ("Paris", "", invisible))
    assert list(golds(facts_of([invisible], [invisible, "x"]), "any")) == [(), ("x",)]
    generations = pd.DataFrame({"fact_id": ["0"], "text": ["Paris"]})
    assert not grade(generations, golds(facts_of([invisible]), "any"), MEASURES)[[*MEASURES]].any(axis=None)


def test_the_first_answer_counts_or_any_and_each_is_there_once():
    facts = facts_of(["New\u00a0York", "New York", "NYC"], ["one"])
    assert golds(facts, "first").to_dict() == {"0": ("New York",), "1": ("one",)}
    assert golds(facts, "any").to_dict() == {"0": ("New York", "NYC"), "1": ("one",)}
    generations = pd.DataFrame({"fact_id": ["0", "0", "1"], "text": ["NYC", "New York", "NYC"]})
    for answers, right in (("first", [False, True, False]), ("any", [True, True, False])):
        for rule in RULES:
            assert grade(generations, golds(facts, answers))[rule].tolist() == right


@pytest.mark.parametrize(
    ("output", "answers", "f1"),
    [
        ("the Eiffel Tower", ["Eiffel tower!"], 1),
        ("It is Eiffel", ["Eiffel Tower"], 2 / 5),
        ("Tower", ["London", "Eiffel Tower"], 2 / 3),
        ("b b c", ["b c c"], 4 / 6),
        ("", ["x"], 0),
        ("y", ["x"], 0),
    ],
)
def test_token_f1_is_that_of_the_best_gold_answer(output, answers, f1):
    graded = grade(pd.DataFrame({"fact_id": ["0"], "text": [output]}), golds(facts_of(answers), "any"), MEASURES)
    assert graded[TOKEN_F1].tolist() == pytest.approx([f1])


@given(
    st.lists(st.tuples(st.sampled_from("012"), TEXTS), max_size=12),
    st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=3, max_size=3),
)
def test_grading_pairs_at_once_is_grading_each_answer(rows, answers):
    accepted = golds(facts_of(*answers), "any")
    graded = grade(pd.DataFrame(rows, columns=["fact_id", "text"], dtype=str), accepted, MEASURES)
    for name, measure in MEASURES.items():
        assert graded[name].tolist() == [measure.best(text, accepted[fact_id]) for fact_id, text in rows]


def test_grade_keeps_rows_and_counts_weigh_samples():
    generations = pd.DataFrame(
        {
            "fact_id": ["f", "f", "f", "g"],
            "prompt_index": [0, 0, 0, 0],
            "kind": ["greedy", "sampled", "sampled", "greedy"],
            "text": ["Paris", "paris", "Rome", "Rome"],
            "count": [1, 5, 11, 1],
        },
        index=[9, 3, 7, 1],
    )
    graded = grade(generations, pd.Series({"f": ("Paris",), "g": ("Paris",)}))
    assert list(graded.index) == [9, 3, 7, 1]
    assert graded["substring"].tolist() == [True, True, False, False]
    counts = count_right(graded).set_index(["fact_id", "kind"])
    assert counts.loc[("f", "sampled"), ["n", "substring", "case_sensitive"]].tolist() == [16, 5, 0]
    assert counts.loc[("g", "greedy"), ["n", "exact"]].tolist() == [1, 0]
