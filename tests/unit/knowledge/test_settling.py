"""Asking until a category is settled: the answers that are left out change no category, and are left out."""

from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.knowledge.categories import categorize
from gradual.knowledge.scoring import RULES, count_right, grade
from gradual.knowledge.settling import until_settled
from gradual.probe.answers import ROUND, Answer, Answered, Asking, Prompt
from gradual.probe.generations import GENERATION_COLUMNS
from gradual.probe.questions import unsolved
from gradual.probe.recording import generation_rows

GOLD = "Paris"
GOLDS = ("Lutetia", GOLD)
TEXTS = ("Paris", "paris", "in Paris", "Parisian", "the Paris", "Rome", "")  # the rules differ on them
EVERYTHING = Asking(lambda _: True)


def ask(whole, asking, sampling):
    """What an engine that would give the answers `whole` gives of them: see Engine.answer."""
    settled, size = asking.settled or (lambda _: False), ROUND if asking.settled else len(whole)
    answered = []
    for start in range(0, len(whole), size):
        answered += [replace(a, sampled=()) for a in whole[start : start + size]]
        if settled(answered):
            return answered
    if sampling and asking.wants_samples(answered):
        for start in range(0, len(whole), size):
            answered[start : start + size] = whole[start : start + size]
            if settled(answered):
                break
    return answered


def categories(found, scoring, mode):
    """The category of a fact by each of these ways in which it was answered."""
    rows = [(number, *row[1:]) for number, answered in enumerate(found) for row in generation_rows(answered)]
    generations = pd.DataFrame(rows, columns=GENERATION_COLUMNS)
    grades = count_right(grade(generations, pd.Series([GOLDS] * len(found), range(len(found)))))
    return list(categorize(grades, scoring, mode, "f")["category"])


def fact(greedy, sampled):
    """All answers to a fact: a greedy text and sampled texts by prompt."""
    return [
        Answered(
            Prompt("f", i, ""),
            Answer(text, 1, "stop"),
            tuple(Answer(s, 1, "stop", count) for s, count in sorted(Counter(samples).items())),
        )
        for i, (text, samples) in enumerate(zip(greedy, sampled, strict=True))
    ]


@st.composite
def whole_facts(draw):
    """Facts of all kinds, those among them whose greedy answers are all right or all wrong."""
    prompts, samples = draw(st.integers(2, 11)), draw(st.integers(1, 3))
    said = st.sampled_from(draw(st.sampled_from([TEXTS, TEXTS[:3], TEXTS[3:], TEXTS[5:]])))
    sampled = st.sampled_from(draw(st.sampled_from([TEXTS, TEXTS[3:], TEXTS[5:], (*TEXTS[5:] * 8, GOLD)])))
    greedy = draw(st.lists(said, min_size=prompts, max_size=prompts))
    drawn = st.lists(sampled, min_size=samples, max_size=samples)
    return fact(greedy, draw(st.lists(drawn, min_size=prompts, max_size=prompts)))


@pytest.mark.parametrize("mode", ["full", "greedy"])
@pytest.mark.parametrize("scoring", RULES)
@settings(max_examples=60, deadline=None)
@given(whole_facts())
def test_the_category_is_that_of_all_answers(scoring, mode, whole):
    gold = pd.Series({"f": GOLDS})
    until = until_settled(gold, scoring)
    wants = (EVERYTHING.wants_samples, unsolved(gold), until.wants_samples)
    ways = [Asking(wants_samples, settled) for settled in (None, until.settled) for wants_samples in wants]
    found = categories([ask(whole, asking, mode == "full") for asking in ways], scoring, mode)
    assert len(set(found)) == 1 and len(found) == 6


@settings(max_examples=200, deadline=None)
@given(whole_facts(), st.sampled_from(sorted(RULES)))
def test_nothing_is_asked_after_the_round_that_settles_it(whole, scoring):
    until, right = until_settled(pd.Series({"f": GOLDS}), scoring), RULES[scoring].best
    answered = ask(whole, until, True)
    greedy = [right(a.greedy.text, GOLDS) for a in whole]
    drawn = [any(right(s.text, GOLDS) for s in a.sampled) for a in whole]
    if len(set(greedy)) == 2:
        asked, sampled = 1 + greedy.index(not greedy[0]), 0
    else:
        asked, sampled = len(whole), 0 if greedy[0] else 1 + drawn.index(True) if True in drawn else len(whole)
    rounds = [min(-(-number // ROUND) * ROUND, len(whole)) for number in (asked, sampled)]
    assert [len(answered), sum(bool(a.sampled) for a in answered)] == rounds


def test_an_answer_that_is_right_but_not_verbatim_needs_no_samples_to_settle_its_fact():
    """`unsolved` samples it for the sake of the other rules; of this one it is HighlyKnown, or MaybeKnown, already."""
    gold = pd.Series({"f": GOLDS})
    for greedy, expected in ((["in Paris"] * 4, "HighlyKnown"), (["in Paris", "Rome"] * 2, "MaybeKnown")):
        whole = fact(greedy, [[GOLD]] * 4)
        assert unsolved(gold)(whole)
        ways = [ask(whole, asking, True) for asking in (Asking(unsolved(gold)), until_settled(gold, "substring"))]
        assert categories(ways, "substring", "full") == [expected] * 2
        assert [any(a.sampled for a in answered) for answered in ways] == [True, False]
